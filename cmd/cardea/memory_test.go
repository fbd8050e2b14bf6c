package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 3200, 1 << 20: 3200, 4 << 20: 800, 16 << 20: 200, 32 << 20: 100, 1 << 30: 100} {
		if got := percent(live); got != want {
			t.Errorf("%d live bytes: got %d, want %d", live, got, want)
		}
	}
}

// TestCollectLess has little alive, then a lot.
func TestCollectLess(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	collectLess()
	if got := settled(100); got <= 100 {
		t.Errorf("a small heap: GOGC is %d", got)
	}
	held := make([]byte, 2*heapFloor)
	if got := settled(0); got != 100 {
		t.Errorf("a large heap: GOGC is %d", got)
	}
	runtime.KeepAlive(held)
}

// settled returns GOGC once finalizers have run after some collections, or it is no longer what it was.
func settled(was int) int {
	got := was
	for range 1000 {
		runtime.GC()
		runtime.Gosched()
		got = debug.SetGCPercent(-1)
		debug.SetGCPercent(got)
		if was != 0 && got != was || was == 0 && got == 100 {
			return got
		}
	}
	return got
}
