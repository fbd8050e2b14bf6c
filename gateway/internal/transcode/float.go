package transcode

import (
	"math"
	"math/big"
	"strconv"
	"sync"
)

// Hot path: floating-point numbers. Those of the usual kind are read and written by strconv. What it reads slowly, at
// several hundred times the cost per byte of anything else in a message, is read here: very small numbers, and those
// with more digits than fit into 64 bits that lie close to the middle between two floats.

// maxFast is how many digits always fit into 64 bits.
const maxFast = 19

// parseFloat reads a JSON number as a float of so many bits. It reports false if that has no such value.
func parseFloat(raw []byte, bits int) (float64, bool) {
	if len(raw) > maxFast+2 || hasExponent(raw) {
		return parseLongFloat(raw, bits)
	}
	f, err := strconv.ParseFloat(string(raw), bits) // Short strings like these stay on the stack.
	return f, err == nil
}

func hasExponent(raw []byte) bool {
	for _, c := range raw {
		if c|0x20 == 'e' {
			return true
		}
	}
	return false
}

// decimal is a number as 0.digits * 10^exp, without zeros around the digits.
type decimal struct {
	negative bool
	digits   []byte // The text between the first and the last digit that counts, perhaps with a point in it.
	count    int    // Digits among them.
	exp      int
}

// parseLongFloat reads numbers with many digits or an exponent.
func parseLongFloat(raw []byte, bits int) (float64, bool) {
	d, ok := parseDecimal(raw)
	tiny, least := -307, -330 // The smallest double that is not subnormal is 0.22e-307.
	if bits == 32 {
		tiny, least = -37, -50 // 0.11e-37.
	}
	switch {
	case !ok:
		return 0, false
	case d.count == 0 || d.exp < least:
		return math.Copysign(0, d.sign()), true
	case d.exp > 310:
		return 0, false
	case d.exp <= tiny:
		return d.round(bits)
	case d.count <= maxFast:
		f, err := strconv.ParseFloat(string(raw), bits)
		return f, err == nil
	}
	// If the first digits mean the same float as the next higher number of so many digits, so does all between.
	var buf [2 * maxFast]byte
	low := d.mantissa(maxFast)
	f, errLow := strconv.ParseFloat(string(appendScientific(buf[:0], low, d.exp-maxFast)), bits)
	g, errHigh := strconv.ParseFloat(string(appendScientific(buf[:0], low+1, d.exp-maxFast)), bits)
	if errLow == nil && errHigh == nil && f == g {
		return math.Copysign(f, d.sign()), true
	}
	return d.round(bits)
}

func appendScientific(dst []byte, mantissa uint64, exp int) []byte {
	dst = append(strconv.AppendUint(dst, mantissa, 10), 'e')
	return strconv.AppendInt(dst, int64(exp), 10)
}

func (d *decimal) sign() float64 {
	if d.negative {
		return -1
	}
	return 1
}

// parseDecimal takes a number apart. It reports false if the exponent is out of all proportion, upwards; downwards, the
// number is zero.
func parseDecimal(raw []byte) (decimal, bool) {
	var d decimal
	if raw[0] == '-' {
		d.negative = true
		raw = raw[1:]
	}
	mantissa, exponent := raw, []byte(nil)
	for i, c := range raw {
		if c|0x20 == 'e' {
			mantissa, exponent = raw[:i], raw[i+1:]
			break
		}
	}
	point := digits(mantissa)
	first, last := -1, -1
	for i, c := range mantissa {
		if c == '.' || c == '0' {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
	}
	if first < 0 {
		return d, true
	}
	d.digits = mantissa[first : last+1]
	d.count = len(d.digits)
	if first < point && point < last {
		d.count--
	}
	if d.exp = point - first; first > point {
		d.exp++
	}
	return d, d.scale(exponent)
}

// scale adds the exponent of the text to that of the digits.
func (d *decimal) scale(text []byte) bool {
	if len(text) == 0 {
		return true
	}
	const huge = 1 << 20 // More than any number of digits can make up for.
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		text = text[1:]
	}
	n := 0
	for _, c := range text {
		n = min(n*10+int(c-'0'), huge)
	}
	switch {
	case negative:
		d.exp -= n
	case n == huge:
		return false
	default:
		d.exp += n
	}
	return true
}

// mantissa returns the first n digits as an integer, n at most maxFast.
func (d *decimal) mantissa(n int) uint64 {
	var m uint64
	for _, c := range d.digits {
		if n == 0 {
			break
		}
		if c != '.' {
			m = m*10 + uint64(c-'0')
			n--
		}
	}
	for ; n > 0; n-- {
		m *= 10
	}
	return m
}

// rounder is room for the arithmetic of round.
type rounder struct{ number, product, part, shifted, quotient, rest big.Int }

var rounders = sync.Pool{New: func() any { return new(rounder) }}

// round returns the nearest float, by arithmetic on integers: the number is a fraction of two and a power of two, and
// its first 64 bits, and whether there are more, decide.
func (d *decimal) round(bits int) (float64, bool) {
	r := rounders.Get().(*rounder) //nolint:forcetypeassert // Nothing else is put there.
	defer rounders.Put(r)
	digits, count := r.integer(d)
	scale := d.exp - count // Of ten, which is five times two.
	var quotient *big.Int
	var exp2 int
	var sticky bool
	if scale < 0 {
		quotient, exp2, sticky = r.divide(digits, -scale)
	} else {
		quotient, exp2, sticky = r.multiply(digits, scale)
	}
	m := quotient.Uint64()
	if quotient.BitLen() > 64 {
		sticky = sticky || m&1 != 0
		m = r.part.Rsh(quotient, 1).Uint64()
		exp2++
	}
	f, ok := roundBits(m, exp2+scale, sticky, bits)
	return math.Copysign(f, d.sign()), ok
}

// multiply returns the first 64 bits of n * 5^power, the power of two that they need, and whether bits are missing.
func (r *rounder) multiply(n *big.Int, power int) (first *big.Int, exp2 int, sticky bool) {
	product := r.product.Mul(n, powerOfFive(power))
	exp2 = product.BitLen() - 64
	if exp2 < 0 {
		return r.quotient.Lsh(product, uint(-exp2)), exp2, false
	}
	return r.quotient.Rsh(product, uint(exp2)), exp2, int(product.TrailingZeroBits()) < exp2
}

// divide returns the first 64 or 65 bits of n / 5^power, the power of two that they need, and whether bits are missing.
func (r *rounder) divide(n *big.Int, power int) (first *big.Int, exp2 int, sticky bool) {
	numerator, denominator := n, powerOfFive(power)
	exp2 = n.BitLen() - denominator.BitLen() - 64
	if exp2 < 0 {
		numerator = r.shifted.Lsh(numerator, uint(-exp2))
	} else {
		denominator = r.shifted.Lsh(denominator, uint(exp2))
	}
	quotient, rest := r.quotient.QuoRem(numerator, denominator, &r.rest)
	return quotient, exp2, rest.Sign() != 0
}

// roundBits returns the float nearest to m * 2^exp, or a little more than that if sticky. M has 63 or 64 bits.
func roundBits(m uint64, exp int, sticky bool, bits int) (float64, bool) {
	precision, lowest, highest := 53, -1074, 971
	if bits == 32 {
		precision, lowest, highest = 24, -149, 104
	}
	drop := max(64-precision, lowest-exp)
	if drop > 64 {
		return 0, true
	}
	var kept uint64
	half := uint64(1) << (drop - 1)
	if drop < 64 {
		kept = m >> drop
	}
	low := m & (half<<1 - 1)
	if low > half || low == half && (sticky || kept&1 != 0) {
		kept++
	}
	exp += drop
	if kept>>precision != 0 {
		kept >>= 1
		exp++
	}
	return math.Ldexp(float64(kept), exp), exp <= highest
}

// maxDigits is how many digits can matter to a double; of those behind them, only whether there are any.
const maxDigits = 800

// integer returns the digits as one number, and how many there are. Digits that are too many become a one.
func (r *rounder) integer(d *decimal) (sum *big.Int, count int) {
	if d.count <= maxFast {
		return r.number.SetUint64(d.mantissa(d.count)), d.count
	}
	sum, product := r.number.SetUint64(0), &r.product
	chunk, n := uint64(0), 0
	add := func(digit uint64, last bool) {
		chunk = chunk*10 + digit
		count++
		if n++; n == maxFast || last {
			product.Mul(sum, powerOfFive(n))
			product.Lsh(product, uint(n))
			sum, product = product.Add(product, r.part.SetUint64(chunk)), sum
			chunk, n = 0, 0
		}
	}
	for _, c := range d.digits {
		switch {
		case c == '.':
		case count == maxDigits:
			add(1, true)
			return sum, count
		default:
			add(uint64(c-'0'), count == d.count-1)
		}
	}
	return sum, count
}

// smallPowers are the powers of five that numbers without very many digits need, once one of these has come.
var smallPowers = sync.OnceValue(func() []*big.Int {
	powers := []*big.Int{big.NewInt(1)}
	for range 400 {
		powers = append(powers, new(big.Int).Mul(powers[len(powers)-1], big.NewInt(5)))
	}
	return powers
})

// powerOfFive returns a number that nobody may change.
func powerOfFive(n int) *big.Int {
	if powers := smallPowers(); n < len(powers) {
		return powers[n]
	}
	return new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(n)), nil)
}
