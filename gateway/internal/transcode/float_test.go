package transcode

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func checkFloat(t *testing.T, text string) {
	t.Helper()
	for _, bits := range []int{32, 64} {
		want, err := strconv.ParseFloat(text, bits)
		got, ok := parseFloat([]byte(text), bits)
		if ok != (err == nil) || ok && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%s as float%d: got %v, %v, want %v, %v", text, bits, got, ok, want, err)
		}
	}
}

func TestFloats(t *testing.T) {
	for _, text := range []string{
		"0", "-0", "0.0", "-0.0e5", "0e99999999999999999999", "1", "-1.5", "123456789012345", "1234567890123456", "9007199254740993",
		"4.9406564584124654e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.47032822920623272088284396434e-324",
		"2.2250738585072014e-308", "2.2250738585072011e-308", "2.225073858507201136057409796709131975934819546351645648e-308",
		"1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1.8e308", "1e309", "1e311", "1e99999999999", "1e-99999999999",
		"1e-400", "-1e-400", "3.4028235e38", "3.4028235677973366e38", "3.4028236e38", "1.1754944e-38", "1.4e-45", "7e-46", "7.1e-46", "1.401298464324817e-45",
		"0.000000000000000000000000000000000000000000001", "100000000000000000000000000000000000000000000000e-60",
		"9007199254740992.99999999999999999999999", "9007199254740993.00000000000000000000000", "9007199254740993.00000000000000000000001",
		"9007199254740991.50000000000000000000000", "0." + strings.Repeat("0", 400) + "1e400", strings.Repeat("9", 308), strings.Repeat("9", 309), strings.Repeat("9", 400),
		"1" + strings.Repeat("0", 900) + "e-900", "1." + strings.Repeat("0", 900) + "1", "9007199254740993." + strings.Repeat("0", 900) + "1",
		"12345678901234567890e-5", "1.00000000000000000000e1",
	} {
		checkFloat(t, text)
		checkFloat(t, "-"+strings.TrimPrefix(text, "-"))
	}
}

// TestFloatsBetween tries numbers at and around the middle between two floats, where each digit counts.
func TestFloatsBetween(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	n := 4000
	if testing.Short() {
		n = 400
	}
	for range n {
		f := math.Abs(math.Float64frombits(random.Uint64()))
		switch random.IntN(3) {
		case 0:
			f = math.Float64frombits(random.Uint64() >> (12 + random.IntN(52))) // Subnormal.
		case 1:
			f = float64(math.Float32frombits(random.Uint32() >> (1 + random.IntN(30))))
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		exact := new(big.Float).SetPrec(2000).SetFloat64(f)
		next := new(big.Float).SetPrec(2000).SetFloat64(math.Nextafter(f, math.Inf(1)))
		middle := exact.Add(exact, next)
		middle.Quo(middle, big.NewFloat(2))
		checkFloat(t, middle.Text('e', 780))
		checkFloat(t, middle.Text('e', 16+random.IntN(60)))
		checkFloat(t, strconv.FormatFloat(f, 'g', -1, 64))
		checkFloat(t, strconv.FormatFloat(f, 'f', -1, 64))
		checkFloat(t, strconv.FormatFloat(f, 'e', random.IntN(30), 64))
	}
}

func FuzzFloat(f *testing.F) {
	for _, text := range []string{"1", "0.1", "-2.5e-7", "4.94e-324", "123456789012345678901234567890", "1e23"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n := numberLength([]byte(text)); n > 0 && n == len(text) {
			checkFloat(t, text)
		}
	})
}
