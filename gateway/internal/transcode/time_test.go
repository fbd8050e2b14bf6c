package transcode

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestEveryDay(t *testing.T) {
	for day := int64(minTimestamp / secondsPerDay); day <= maxTimestamp/secondsPerDay; day++ {
		seconds := day*secondsPerDay + day%secondsPerDay&0xffff
		want := time.Unix(seconds, 0).UTC().Format(`"2006-01-02T15:04:05Z"`)
		got := appendTimestamp(nil, seconds, 0)
		if string(got) != want {
			t.Fatalf("day %d: got %s, want %s", day, got, want)
		}
		back, nanos, ok := parseUsual(got[1 : len(got)-1])
		if !ok || back != seconds || nanos != 0 {
			t.Fatalf("%s: got %d, %d, %v, want %d", got, back, nanos, ok, seconds)
		}
		if testing.Short() {
			day += 100
		}
	}
}

func TestFractions(t *testing.T) {
	for nanos, want := range map[int64]string{
		0: "", 1: ".000000001", 1000: ".000001", 1000000: ".001", 100000000: ".100", 120000: ".000120", 999999999: ".999999999", 123456000: ".123456",
	} {
		if got := string(appendNanos(nil, nanos)); got != want {
			t.Errorf("%d: got %q, want %q", nanos, got, want)
		}
	}
}

// TestTimesNearlyRight compares with the oracle on time stamps and durations with a mistake in them.
func TestTimesNearlyRight(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	n := 30000
	if testing.Short() {
		n = 3000
	}
	from := map[string][]string{
		"google.protobuf.Timestamp": {"2024-02-29T23:59:59.123456789Z", "1999-12-31T23:59:59+23:59", "0001-01-01T00:00:00Z", "2000-02-28T00:00:00.5-00:30", "9999-12-31T23:59:59Z"},
		"google.protobuf.Duration":  {"1s", "-12.345s", "315576000000s", "0.000000001s", "+.5s"},
	}
	for root, texts := range from {
		md := fixed.message(t, root)
		for range n {
			b := []byte(texts[random.IntN(len(texts))])
			for range random.IntN(3) {
				b[random.IntN(len(b))] = "0123456789+-:.,TZtzs "[random.IntN(21)]
			}
			if random.IntN(4) == 0 {
				i := random.IntN(len(b))
				b = append(b[:i:i], b[i+1:]...)
			}
			rigs[0].checkDecode(t, md, []byte(`"`+strings.ReplaceAll(string(b), `"`, "")+`"`))
		}
	}
}
