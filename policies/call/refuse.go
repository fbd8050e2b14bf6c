package call

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// Domain is the ErrorInfo domain of every refusal of the gateway. It is no proof: a backend can write it, too. Clients tell
// refusals by the header cardea-origin, which no backend can set.
const Domain = "cardea"

// Refuse returns the status with which the gateway refuses a call: the code, a message for people, an ErrorInfo with
// the reason for programs (UPPER_SNAKE_CASE, stable), and further google.rpc details. The message says what is wrong
// and how to mend it; it never names hosts, secrets or packages.
func Refuse(code codes.Code, reason, message string, details ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: Domain}
	st, err := status.New(code, message).WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil { // Only OK cannot carry details: refusing with it is a programmer's error, and must not let a call pass.
		return status.Error(codes.Internal, "refused with code "+code.String())
	}
	return st.Err()
}

// Reason returns the reason of a refusal of the gateway, or "" for any other error.
func Reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			return info.GetReason()
		}
	}
	return ""
}
