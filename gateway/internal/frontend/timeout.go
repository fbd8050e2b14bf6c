package frontend

import (
	"context"
	"math"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/policies/call"
)

// timeoutUnits are those of the gRPC over HTTP/2 specification, "Timeout".
var timeoutUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second,
	'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// withDeadline applies the client's grpc-timeout header, which REST clients may send too. Without the header the context
// has no deadline of its own.
func withDeadline(ctx context.Context, header call.Header) (context.Context, context.CancelFunc, error) {
	text := header.Get("grpc-timeout")
	if text == "" {
		ctx, cancel := context.WithCancel(ctx)
		return ctx, cancel, nil
	}
	timeout, ok := parseTimeout(text)
	if !ok {
		return nil, nil, call.Refuse(codes.InvalidArgument, "MALFORMED_TIMEOUT",
			`the header grpc-timeout must be up to 8 digits and a unit of H, M, S, m, u or n, such as "250m"`)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return ctx, cancel, nil
}

func parseTimeout(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	last := len(text) - 1
	unit, ok := timeoutUnits[text[last]]
	value, err := strconv.ParseUint(text[:last], 10, 32)
	if !ok || err != nil || text[0] == '+' {
		return 0, false
	}
	if time.Duration(value) > math.MaxInt64/unit { // 99,999,999 hours do not fit.
		return math.MaxInt64, true
	}
	return time.Duration(value) * unit, true
}
