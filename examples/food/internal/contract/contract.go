// Package contract holds requests to the rules that their protobuf files state (buf.validate).
package contract

import (
	"context"
	"errors"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
)

// Check returns an INVALID_ARGUMENT status that names each field of m that breaks a rule. The prefix, such as "order.",
// stands before the names of the fields.
func Check(m proto.Message, prefix string) error {
	err := protovalidate.Validate(m)
	var broken *protovalidate.ValidationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &broken):
		return refusal.Invalid(fields(broken, prefix)...)
	default:
		return status.Error(codes.Internal, "the rules of the request can't be checked")
	}
}

// most bounds what one refusal lists: it travels in a header, and a list of a million bad items must not.
const most = 20

func fields(broken *protovalidate.ValidationError, prefix string) []refusal.Field {
	var fields []refusal.Field
	for _, v := range broken.Violations[:min(len(broken.Violations), most)] {
		fields = append(fields, refusal.Field{
			Path:        prefix + protovalidate.FieldPathString(v.Proto.GetField()),
			Description: v.Proto.GetMessage(),
		})
	}
	return fields
}

// Unary checks the request of a call before its handler sees it.
func Unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := Check(req.(proto.Message), ""); err != nil { //nolint:forcetypeassert // The codec knows nothing else.
		return nil, err
	}
	return next(ctx, req)
}

// Stream checks each message that a client streams.
func Stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, checked{stream})
}

type checked struct{ grpc.ServerStream }

// RecvMsg checks the messages of our own services; reflection's and health's have no rules and pass.
func (c checked) RecvMsg(m any) error {
	if err := c.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return Check(m.(proto.Message), "") //nolint:forcetypeassert // The codec knows nothing else.
}
