package instances

import "time"

// seconds is how long a record remembers.
const seconds = 10

// record is how calls of an instance fared in the last ten seconds. The zero value is an empty one.
type record struct {
	buckets [seconds]bucket
	row     int       // Failures since the last call that fared well.
	cause   string    // Of the last failure.
	last    time.Time // When that was.
}

type bucket struct {
	second    int64
	good, bad int
}

// note takes up one call, with the cause if it fared badly.
func (r *record) note(at time.Time, cause string) {
	second := at.Unix()
	b := &r.buckets[second%seconds]
	if b.second != second {
		*b = bucket{second: second}
	}
	if cause == "" {
		b.good++
		r.row = 0
		return
	}
	b.bad++
	r.row++
	r.cause, r.last = cause, at
}

// streak counts failures since the last call that fared well, unless they were long ago.
func (r *record) streak(at time.Time) int {
	if at.Sub(r.last) > seconds*time.Second {
		return 0
	}
	return r.row
}

// sum counts the calls that ended in the last ten seconds, and those that fared badly.
func (r *record) sum(at time.Time) (calls, bad int) {
	for _, b := range r.buckets {
		if at.Unix()-b.second < seconds {
			calls += b.good + b.bad
			bad += b.bad
		}
	}
	return calls, bad
}
