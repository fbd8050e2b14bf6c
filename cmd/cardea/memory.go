package main

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	memlimit "github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of a container's memory the Go heap may take before it is collected harder: the rest is for what
// Go does not count.
const memoryShare = 0.9

// limitMemory sets GOMEMLIMIT from the limit of the control group, unless it is set already.
func limitMemory(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memlimit.FromCgroup))
	if err != nil { // Without a limit, or without control groups, there is nothing to do.
		log.Debug("no memory limit", "error", err)
		return
	}
	if limit > 0 && limit < math.MaxInt64 {
		log.Info("memory limit", "bytes", limit)
	}
}

// heapFloor is how large the heap may grow before it is collected at all. A gateway holds little besides what its calls
// leave behind: by Go's default, to double, a heap of 4 MB would be collected hundreds of times a second.
const heapFloor = 32 << 20

// percent returns the value of GOGC with which a heap of so many live bytes grows to the floor, or doubles if that is more.
func percent(live uint64) int {
	return int(max(100, heapFloor*100/max(live, 1<<20)))
}

// collectLess keeps the heap from being collected below the floor, unless GOGC says otherwise. GOMEMLIMIT holds all the same.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		collected(&cycle{live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}})
	}
}

// cycle is garbage: the collector that finds it has come to the end of a cycle.
type cycle struct {
	live    []metrics.Sample
	percent int
}

func collected(c *cycle) {
	metrics.Read(c.live)
	if wanted := percent(c.live[0].Value.Uint64()); wanted != c.percent {
		c.percent = wanted
		debug.SetGCPercent(wanted)
	}
	runtime.SetFinalizer(c, collected)
}
