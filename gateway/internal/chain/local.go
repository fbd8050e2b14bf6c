package chain

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/policies/call"
)

// Local is a method that the gateway answers by itself.
type Local struct {
	// Method holds the facts.
	Method *call.Method
	// End is the end of its chain.
	End grpc.StreamHandler
}

// Serve returns the methods of a service that is implemented in this process, as code that protoc-gen-go-grpc generates
// describes it. They don't use the stage that reads the first message.
func Serve(desc *grpc.ServiceDesc, impl any) []Local {
	var all []Local
	for _, m := range desc.Methods {
		all = append(all, Local{
			Method: &call.Method{FullName: fullName(desc, m.MethodName), Service: desc.ServiceName, Name: m.MethodName},
			End:    unary(m, impl),
		})
	}
	for _, s := range desc.Streams {
		all = append(all, Local{
			Method: &call.Method{
				FullName: fullName(desc, s.StreamName), Service: desc.ServiceName, Name: s.StreamName,
				ClientStreams: s.ClientStreams, ServerStreams: s.ServerStreams,
			},
			End: func(_ any, ss grpc.ServerStream) error { return s.Handler(impl, typed{ss}) },
		})
	}
	return all
}

func fullName(desc *grpc.ServiceDesc, method string) string {
	return fmt.Sprintf("/%s/%s", desc.ServiceName, method)
}

func unary(m grpc.MethodDesc, impl any) grpc.StreamHandler {
	return func(_ any, ss grpc.ServerStream) error {
		ts := typed{ss}
		answer, err := m.Handler(impl, ss.Context(), ts.RecvMsg, nil)
		if err != nil {
			return err
		}
		return ts.SendMsg(answer)
	}
}

// typed is a stream of message objects over a stream of raw ones.
type typed struct{ grpc.ServerStream }

func (t typed) RecvMsg(m any) error {
	raw := new(call.Message)
	if err := t.ServerStream.RecvMsg(raw); err != nil {
		return err
	}
	defer raw.Free()
	message, ok := m.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%T is no protobuf message", m)
	}
	if err := proto.Unmarshal(raw.Bytes(), message); err != nil {
		return call.Refuse(codes.InvalidArgument, "MALFORMED_REQUEST",
			"the request is not a valid "+string(message.ProtoReflect().Descriptor().FullName()))
	}
	return nil
}

func (t typed) SendMsg(m any) error {
	message, ok := m.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%T is no protobuf message", m)
	}
	raw, err := call.MessageOf(message)
	if err != nil {
		return err
	}
	return t.ServerStream.SendMsg(raw)
}
