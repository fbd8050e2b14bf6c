package frontend

import (
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/policies/call"
)

// timeoutUnits are those of the gRPC over HTTP/2 specification, "Timeout".
var timeoutUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second,
	'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// deadlineOf returns how long a call may take, 0 for as long as it likes, and whether that is the client's own wish rather
// than the default.
func (t *Table) deadlineOf(x Exchange, m *call.Method, rest bool) (timeout time.Duration, wished bool, err error) {
	timeout, err = wishedTimeout(x.Header(), rest)
	switch limit := t.Timeouts.MaxCall; {
	case err != nil:
		return 0, false, err
	case timeout > 0 && limit > 0:
		return min(timeout, limit), true, nil
	case timeout > 0:
		return timeout, true, nil
	case m.ClientStreams || m.ServerStreams:
		return 0, false, nil
	}
	return t.Timeouts.Call, false, nil
}

// wishedTimeout reads what the client wishes: grpc-timeout, and over REST X-Server-Timeout, the shorter of which counts. 0
// is none.
func wishedTimeout(header call.Header, rest bool) (time.Duration, error) {
	var timeout time.Duration
	if text := header.Get("grpc-timeout"); text != "" {
		var ok bool
		if timeout, ok = parseTimeout(text); !ok {
			return 0, call.Refuse(codes.InvalidArgument, "MALFORMED_TIMEOUT",
				`the header grpc-timeout must be up to 8 digits and a unit of H, M, S, m, u or n, such as "250m"`)
		}
		timeout = max(timeout, 1) // 0 is over at once.
	}
	if !rest {
		return timeout, nil
	}
	if text := header.Get("x-server-timeout"); text != "" {
		seconds, ok := parseSeconds(text)
		if !ok {
			return 0, call.Refuse(codes.InvalidArgument, "MALFORMED_TIMEOUT",
				`the header x-server-timeout must be a decimal number of seconds, such as "2.5"`)
		}
		if seconds = max(seconds, 1); timeout == 0 || seconds < timeout {
			timeout = seconds
		}
	}
	return timeout, nil
}

// parseSeconds reads a decimal number of seconds. Digits beyond nanoseconds don't count.
func parseSeconds(text string) (time.Duration, bool) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if !isDigits(whole) || dotted && !isDigits(fraction) || len(text) > 20 {
		return 0, false
	}
	seconds, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || seconds >= uint64(math.MaxInt64/time.Second) {
		return math.MaxInt64, true // Three hundred years, or more.
	}
	nanos, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
	return time.Duration(seconds)*time.Second + time.Duration(nanos), err == nil
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
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
