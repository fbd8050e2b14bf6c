package transcode

import (
	"math"
	"strconv"
)

// Hot path: numbers of JSON. Integers of up to 18 digits are read in one loop, all others by exact rules, without
// allocation.

// isDigit reports whether c is a decimal digit.
func isDigit(c byte) bool { return c-'0' <= 9 }

// numberLength returns the length of the JSON number at the beginning of b, 0 if there is none.
func numberLength(b []byte) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && isDigit(b[i]):
		i += digits(b[i:])
	default:
		return 0
	}
	if i < len(b) && b[i] == '.' {
		n := digits(b[i+1:])
		if n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n := digits(b[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	return i
}

func digits(b []byte) int {
	for i, c := range b {
		if !isDigit(c) {
			return i
		}
	}
	return len(b)
}

// integer is a whole number: sign and magnitude.
type integer struct {
	negative  bool
	magnitude uint64
}

// parseInteger reads a JSON number that is whole, also if it is written with a fraction of zeros or an exponent. It
// reports false for all others, and for those beyond 64 bits.
func parseInteger(raw []byte) (integer, bool) {
	var n integer
	b := raw
	if len(b) > 0 && b[0] == '-' {
		n.negative = true
		b = b[1:]
	}
	if len(b) > 18 {
		return parseAnyInteger(raw)
	}
	for _, c := range b {
		if !isDigit(c) {
			return parseAnyInteger(raw)
		}
		n.magnitude = n.magnitude*10 + uint64(c-'0')
	}
	return n, true
}

// parseAnyInteger reads integers of any notation. Its bounds are those of protojson: an integer part and exponent of
// more than 20 digits together are refused without a look at the digits.
func parseAnyInteger(raw []byte) (integer, bool) {
	const maxDigits = 20
	n, whole, fraction, exponent := split(raw)
	if len(whole) == 0 && len(fraction) == 0 {
		return n, true
	}
	exp := 0
	if len(exponent) > 0 {
		e, err := strconv.ParseInt(string(exponent), 10, 32)
		if err != nil {
			return n, false
		}
		exp = int(e)
	}
	if exp < 0 {
		if len(fraction) > 0 || len(whole)+exp < 0 || significant(whole[len(whole)+exp:]) {
			return n, false
		}
		return n.add(whole[:len(whole)+exp], nil, 0)
	}
	if len(fraction) > exp || len(whole)+exp > maxDigits {
		return n, false
	}
	return n.add(whole, fraction, exp-len(fraction))
}

// split takes a number apart: sign, digits without a leading zero, fraction without trailing zeros, exponent.
func split(raw []byte) (n integer, whole, fraction, exponent []byte) {
	if raw[0] == '-' {
		n.negative = true
		raw = raw[1:]
	}
	i := digits(raw)
	whole, raw = raw[:i], raw[i:]
	if whole[0] == '0' {
		whole = nil
	}
	if len(raw) > 0 && raw[0] == '.' {
		i := digits(raw[1:])
		fraction, raw = raw[1:1+i], raw[1+i:]
		for len(fraction) > 0 && fraction[len(fraction)-1] == '0' {
			fraction = fraction[:len(fraction)-1]
		}
	}
	if len(raw) > 0 {
		exponent = raw[1:]
	}
	return n, whole, fraction, exponent
}

// significant reports whether there are digits other than zero.
func significant(digits []byte) bool {
	for _, c := range digits {
		if c != '0' {
			return true
		}
	}
	return false
}

// add appends digits and zeros to the magnitude. It reports false if that overflows.
func (n integer) add(whole, fraction []byte, zeros int) (integer, bool) {
	for i := range len(whole) + len(fraction) + zeros {
		var digit uint64
		switch {
		case i < len(whole):
			digit = uint64(whole[i] - '0')
		case i < len(whole)+len(fraction):
			digit = uint64(fraction[i-len(whole)] - '0')
		}
		if n.magnitude > (math.MaxUint64-digit)/10 {
			return n, false
		}
		n.magnitude = n.magnitude*10 + digit
	}
	return n, true
}

// signed returns the number if it has at most so many bits.
func (n integer) signed(bits int) (int64, bool) {
	limit := uint64(1) << (bits - 1)
	if n.negative {
		return -int64(n.magnitude), n.magnitude <= limit
	}
	return int64(n.magnitude), n.magnitude < limit
}

// unsigned returns the number if it has at most so many bits. Minus zero is zero.
func (n integer) unsigned(bits int) (uint64, bool) {
	return n.magnitude, (!n.negative || n.magnitude == 0) && (bits == 64 || n.magnitude>>bits == 0)
}

// parseKey reads an integer as keys of maps have it: digits, perhaps with a sign, leading zeros allowed.
func parseKey(b []byte, signedKey bool) (integer, bool) {
	var n integer
	if signedKey && len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		n.negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 || digits(b) != len(b) {
		return n, false
	}
	return n.add(b, nil, 0)
}

// appendFloat appends a float as JSON: the shortest digits that read back the same, in the notation of ECMAScript.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 {
		if bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
			format = 'e'
		}
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	if n := len(dst); format == 'e' && n >= 4 && string(dst[n-4:n-1]) == "e-0" {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
