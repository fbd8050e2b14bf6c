package chain

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/policies/call"
)

// First reads the one request message of a method without client streaming into the Call, where the rest of the list and
// the end find it. Before it, policies have seen headers alone: a client that may not call sends its body for nothing.
func First(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	m := new(call.Message)
	if err := ss.RecvMsg(m); err != nil {
		return noMessage(err)
	}
	c := call.FromContext(ss.Context())
	c.SetMessage(m)
	defer func() {
		if left := c.TakeMessage(); left != nil {
			left.Free()
		}
	}()
	if err := atEnd(ss); err != nil {
		return err
	}
	return next(srv, ss)
}

func noMessage(err error) error {
	if errors.Is(err, io.EOF) {
		return call.Refuse(codes.Unimplemented, "REQUEST_MISSING", "the call has no request message, and the method needs one")
	}
	return err
}

// atEnd makes sure that the client has sent its only message.
func atEnd(ss grpc.ServerStream) error {
	extra := new(call.Message)
	switch err := ss.RecvMsg(extra); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	extra.Free()
	return call.Refuse(codes.Unimplemented, "REQUEST_REPEATED", "the call has more than one request message, and the method takes one")
}
