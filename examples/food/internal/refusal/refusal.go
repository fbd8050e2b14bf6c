// Package refusal makes the statuses with which the food services refuse calls. Each has a google.rpc detail that a
// program can act on; the message is for people.
package refusal

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// Domain is the domain of every ErrorInfo.
const Domain = "food.example"

// NotFound says that there is no resource of a type, such as "food.example/Order", with a name.
func NotFound(kind, name string) error {
	return with(codes.NotFound, fmt.Sprintf("there is no %q", name),
		&errdetails.ResourceInfo{ResourceType: kind, ResourceName: name, Description: "not found"})
}

// Field is one field of a request that is wrong, and how.
type Field struct {
	Path        string // such as "order.items[0].quantity"
	Description string
}

// Invalid says which fields of the request are wrong.
func Invalid(fields ...Field) error {
	return with(codes.InvalidArgument, "the request is not valid: "+summary(fields), badRequest(fields))
}

// Unknown says that a field is well-formed but means nothing that exists.
func Unknown(reason string, field Field) error {
	return with(codes.NotFound, field.Path+": "+field.Description,
		&errdetails.ErrorInfo{Reason: reason, Domain: Domain}, badRequest([]Field{field}))
}

// Precondition says that the state of things does not allow the call. The facts are for the ErrorInfo.
func Precondition(reason, message string, facts map[string]string) error {
	return with(codes.FailedPrecondition, message,
		&errdetails.ErrorInfo{Reason: reason, Domain: Domain, Metadata: facts})
}

// Reused says that a request id was used before, for something else.
func Reused(requestID string) error {
	return with(codes.AlreadyExists, "the request id was used before with other content",
		&errdetails.ErrorInfo{
			Reason:   "REQUEST_ID_REUSED",
			Domain:   Domain,
			Metadata: map[string]string{"request_id": requestID},
		})
}

// Storage turns an error of the store into a status. What the store said stays inside: it would mean nothing to a
// client.
func Storage(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	case status.Code(err) == codes.Unavailable:
		return status.Error(codes.Unavailable, "the store can't be reached")
	default:
		return status.Error(codes.Internal, "the store failed")
	}
}

func badRequest(fields []Field) *errdetails.BadRequest {
	detail := &errdetails.BadRequest{}
	for _, f := range fields {
		detail.FieldViolations = append(detail.FieldViolations,
			&errdetails.BadRequest_FieldViolation{Field: f.Path, Description: f.Description})
	}
	return detail
}

func summary(fields []Field) string {
	if len(fields) == 0 {
		return "no reason known"
	}
	s := fields[0].Description
	if path := fields[0].Path; path != "" { // A rule of the whole message has none.
		s = path + ": " + s
	}
	if more := len(fields) - 1; more > 0 {
		s += fmt.Sprintf(" (and %d more)", more)
	}
	return s
}

func with(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	s, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		return status.Error(code, message) // a detail that does not marshal is no reason to lose the refusal
	}
	return s.Err()
}
