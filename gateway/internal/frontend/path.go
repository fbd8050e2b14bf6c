package frontend

import (
	"strings"
)

// isMethodPath tells whether a gRPC call's :path is canonical: "/service/method", both made of identifiers, and nothing
// before, between or behind. Everything else would let two readers of one path see two methods (CVE-2026-33186).
func isMethodPath(path string) bool {
	service, method, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || path[0] != '/' || !isIdentifier(method) {
		return false
	}
	for name := range strings.SplitSeq(service, ".") {
		if !isIdentifier(name) {
			return false
		}
	}
	return true
}

// isIdentifier tells whether a name is one of protobuf's.
func isIdentifier(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20
		if (c < 'a' || c > 'z') && name[i] != '_' && (i == 0 || name[i] < '0' || name[i] > '9') {
			return false
		}
	}
	return name != ""
}

// isPlain tells whether everybody reads a REST path alike: it has no segment "." or "..", which some would resolve, and no
// control character, whether percent-encoded or not. The slash counts in each of its spellings, %2F and \ included, and a
// segment's parameter (;) or verb (:) does not hide its dots. The path is not changed by this, nor anywhere else.
func isPlain(path string) bool {
	if strings.IndexByte(path, '.') < 0 && strings.IndexByte(path, '%') < 0 {
		return !hasControl(path)
	}
	dots, other := 0, false
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			c, i = decodeEscape(path[i+1], path[i+2]), i+2
		}
		switch {
		case isControl(c):
			return false
		case c == '.':
			dots++
			continue
		case strings.IndexByte(`/\:;`, c) < 0:
			other = true
			continue
		case isDots(dots, other):
			return false
		}
		dots, other = 0, c == ':' || c == ';'
	}
	return !isDots(dots, other)
}

func isDots(dots int, other bool) bool { return !other && (dots == 1 || dots == 2) }

func isControl(c byte) bool { return c < ' ' || c == 0x7f }

func hasControl(path string) bool {
	for i := range len(path) {
		if isControl(path[i]) {
			return true
		}
	}
	return false
}

// decodeEscape returns the byte that two hexadecimal digits stand for; what is no escape the router refuses.
func decodeEscape(high, low byte) byte { return unhex(high)<<4 | unhex(low) }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
