package refusal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
)

func TestRefusals(t *testing.T) {
	facts := map[string]string{"a": "b"}
	for name, tt := range map[string]struct {
		err     error
		code    codes.Code
		message string
		details []proto.Message
	}{
		"not found": {
			refusal.NotFound("food.example/Order", "orders/1"), codes.NotFound, `there is no "orders/1"`,
			[]proto.Message{&errdetails.ResourceInfo{
				ResourceType: "food.example/Order", ResourceName: "orders/1", Description: "not found",
			}},
		},
		"invalid": {
			refusal.Invalid(refusal.Field{Path: "name", Description: "is odd"}, refusal.Field{Path: "b", Description: "c"}),
			codes.InvalidArgument, "the request is not valid: name: is odd (and 1 more)",
			[]proto.Message{&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
				{Field: "name", Description: "is odd"}, {Field: "b", Description: "c"},
			}}},
		},
		"invalid as a whole": {
			refusal.Invalid(refusal.Field{Description: "makes no sense"}),
			codes.InvalidArgument, "the request is not valid: makes no sense",
			[]proto.Message{&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
				{Description: "makes no sense"},
			}}},
		},
		"invalid for no known reason": {
			refusal.Invalid(), codes.InvalidArgument, "the request is not valid: no reason known",
			[]proto.Message{&errdetails.BadRequest{}},
		},
		"unknown": {
			refusal.Unknown("STREET_UNKNOWN", refusal.Field{Path: "address", Description: "is nowhere"}),
			codes.NotFound, "address: is nowhere",
			[]proto.Message{
				&errdetails.ErrorInfo{Reason: "STREET_UNKNOWN", Domain: "food.example"},
				&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
					{Field: "address", Description: "is nowhere"},
				}},
			},
		},
		"precondition": {
			refusal.Precondition("TOO_LATE", "it is too late", facts), codes.FailedPrecondition, "it is too late",
			[]proto.Message{&errdetails.ErrorInfo{Reason: "TOO_LATE", Domain: "food.example", Metadata: facts}},
		},
		"text that is not UTF-8 loses the details only": {
			refusal.Precondition("TOO_LATE", "it is too late", map[string]string{"a": "\xff"}),
			codes.FailedPrecondition, "it is too late", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := status.Convert(tt.err)
			if s.Code() != tt.code || s.Message() != tt.message {
				t.Errorf("got %v %q, want %v %q", s.Code(), s.Message(), tt.code, tt.message)
			}
			var details []proto.Message
			for _, d := range s.Details() {
				details = append(details, d.(proto.Message))
			}
			if diff := cmp.Diff(tt.details, details, protocmp.Transform()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestStorageKeepsTheTextOfTheStoreInside(t *testing.T) {
	for name, tt := range map[string]struct {
		err     error
		code    codes.Code
		message string
	}{
		"the client left": {fmt.Errorf("get: %w", context.Canceled), codes.Canceled, "get: context canceled"},
		"too late":        {context.DeadlineExceeded, codes.DeadlineExceeded, "context deadline exceeded"},
		"unreachable":     {status.Error(codes.Unavailable, "dial 10.0.0.1:80"), codes.Unavailable, "the store can't be reached"},
		"refused":         {status.Error(codes.InvalidArgument, "key"), codes.Internal, "the store failed"},
		"broken":          {errors.New("disk /dev/sda"), codes.Internal, "the store failed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := status.Convert(refusal.Storage(tt.err))
			if s.Code() != tt.code || s.Message() != tt.message {
				t.Errorf("got %v %q, want %v %q", s.Code(), s.Message(), tt.code, tt.message)
			}
		})
	}
}
