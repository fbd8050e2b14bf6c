package transcode

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// Hot path: Timestamp and Duration as text. Time stamps in the form that everybody writes are read here; package time
// decides on all others.

// Ranges of the two types, in seconds: the years 1 to 9999, and about as many years either way.
const (
	minTimestamp = -62135596800
	maxTimestamp = 253402300799
	maxDuration  = 315576000000
	maxNanos     = 999999999
)

const (
	secondsPerDay = 24 * 60 * 60
	// Calendars are easiest to count from a first of March, with the leap day at the end: here that of year 0.
	daysToEpoch   = 719468 // From 0000-03-01 to 1970-01-01.
	daysPerEra    = 146097 // Of 400 years.
	longTimestamp = "2006-01-02T15:04:05"
)

// appendTimestamp appends a time within range as a JSON string in UTC.
func appendTimestamp(dst []byte, seconds, nanos int64) []byte {
	seconds -= minTimestamp // So that nothing below is negative.
	const firstDay = daysToEpoch + minTimestamp/secondsPerDay
	year, month, day := civil(uint64(seconds)/secondsPerDay + firstDay)
	rest := uint64(seconds) % secondsPerDay
	dst = append(dst, '"')
	dst = append2(dst, year/100)
	dst = append2(dst, year%100)
	dst = append2(append(dst, '-'), month)
	dst = append2(append(dst, '-'), day)
	dst = append2(append(dst, 'T'), rest/3600)
	dst = append2(append(dst, ':'), rest/60%60)
	dst = append2(append(dst, ':'), rest%60)
	dst = appendNanos(dst, nanos)
	return append(dst, 'Z', '"')
}

// civil returns the date of a day counted from 0000-03-01.
func civil(days uint64) (year, month, day uint64) {
	era, dayOfEra := days/daysPerEra, days%daysPerEra
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153 // Months from March on.
	day = dayOfYear - (153*shifted+2)/5 + 1
	year = yearOfEra + era*400
	if shifted < 10 {
		return year, shifted + 3, day
	}
	return year + 1, shifted - 9, day
}

// daysBefore returns the number of days from 0000-03-01 to a date.
func daysBefore(year, month, day int64) int64 {
	if month > 2 {
		month -= 3
	} else {
		month += 9
		year--
	}
	era := year / 400
	yearOfEra := year % 400
	return era*daysPerEra + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + (153*month+2)/5 + day - 1
}

func append2(dst []byte, n uint64) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// appendNanos appends a fraction of a second with 0, 3, 6 or 9 digits.
func appendNanos(dst []byte, nanos int64) []byte {
	if nanos == 0 {
		return dst
	}
	width := 9
	for nanos%1000 == 0 {
		nanos /= 1000
		width -= 3
	}
	start := len(dst)
	dst = append(dst, ".000000000"[:1+width]...)
	for i := start + width; i > start; i-- {
		dst[i] = byte('0' + nanos%10)
		nanos /= 10
	}
	return dst
}

// parseTimestamp reads RFC 3339, with at most nine digits of a fraction.
func parseTimestamp(text []byte) (seconds, nanos int64, ok bool) {
	if seconds, nanos, ok = parseUsual(text); !ok {
		seconds, nanos, ok = parseUnusual(text)
	}
	return seconds, nanos, ok && seconds >= minTimestamp && seconds <= maxTimestamp
}

// parseUsual reads the usual form. What it refuses may still be a time.
func parseUsual(b []byte) (seconds, nanos int64, ok bool) {
	n := len(longTimestamp)
	if len(b) < n+1 || !isLike(b, longTimestamp) {
		return 0, 0, false
	}
	fraction, offset, ok := parseZone(b[n:])
	if !ok {
		return 0, 0, false
	}
	year, month, day := two(b)*100+two(b[2:]), two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if year == 0 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, 0, false
	}
	if nanos, ok = parseNanos(fraction); !ok {
		return 0, 0, false
	}
	days := daysBefore(year, month, day) - daysToEpoch
	return days*secondsPerDay + hour*3600 + minute*60 + second - offset, nanos, true
}

// isLike reports whether b begins with text, any digit being like any other.
func isLike(b []byte, text string) bool {
	for i := range len(text) {
		if c := text[i]; isDigit(c) != isDigit(b[i]) || !isDigit(c) && c != b[i] {
			return false
		}
	}
	return true
}

// parseZone splits the end of a time into fraction and zone, and returns how many seconds that is ahead of UTC.
func parseZone(b []byte) (fraction []byte, offset int64, ok bool) {
	if b[len(b)-1] == 'Z' {
		return b[:len(b)-1], 0, true
	}
	start := len(b) - len("+00:00")
	if start < 0 || b[start] != '+' && b[start] != '-' || !isLike(b[start+1:], "00:00") {
		return nil, 0, false
	}
	hours, minutes := two(b[start+1:]), two(b[start+4:])
	if hours > 23 || minutes > 59 {
		return nil, 0, false
	}
	offset = hours*3600 + minutes*60
	if b[start] == '-' {
		offset = -offset
	}
	return b[:start], offset, true
}

func two(b []byte) int64 { return int64(b[0]-'0')*10 + int64(b[1]-'0') }

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// parseNanos reads nothing, or a point and one to nine digits.
func parseNanos(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, true
	}
	if b[0] != '.' || len(b) < 2 || len(b) > 10 || digits(b[1:]) != len(b)-1 {
		return 0, false
	}
	return fraction(b[1:]), true
}

// fraction returns at most nine digits behind a point as nanoseconds.
func fraction(digits []byte) int64 {
	var n int64
	for i := range 9 {
		n *= 10
		if i < len(digits) {
			n += int64(digits[i] - '0')
		}
	}
	return n
}

// parseUnusual reads whatever package time takes, a little less strictly than RFC 3339 has it.
func parseUnusual(text []byte) (seconds, nanos int64, ok bool) {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return 0, 0, false
	}
	point, zone := bytes.LastIndexByte(text, '.'), bytes.LastIndexAny(text, "Z-+")
	if point >= 0 && zone >= point && zone-point > len(".999999999") {
		return 0, 0, false
	}
	return t.Unix(), int64(t.Nanosecond()), true
}

// parseDuration reads seconds with at most nine digits behind the point, and the letter s. As elsewhere in Go's
// protobuf, a sign may stand before them, and the digits on one side of the point may be missing.
func parseDuration(b []byte) (seconds, nanos int64, ok bool) {
	if len(b) < 2 || b[len(b)-1] != 's' {
		return 0, 0, false
	}
	b = b[:len(b)-1]
	sign := int64(1)
	if b[0] == '-' || b[0] == '+' {
		if b[0] == '-' {
			sign = -1
		}
		b = b[1:]
	}
	n := digits(b)
	whole, b := b[:n], b[n:]
	if n > 1 && whole[0] == '0' || n == 0 && len(b) == 0 {
		return 0, 0, false
	}
	if len(b) > 0 {
		if b[0] != '.' || len(b) > 10 || digits(b[1:]) != len(b)-1 {
			return 0, 0, false
		}
		nanos = fraction(b[1:])
	}
	if n > 0 {
		v, err := strconv.ParseUint(string(whole), 10, 64)
		if err != nil || v > math.MaxInt64 {
			return 0, 0, false
		}
		seconds = int64(v)
	}
	return sign * seconds, sign * nanos, seconds <= maxDuration
}
