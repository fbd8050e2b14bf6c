package test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	callTime     = 100 * time.Millisecond // How long each call takes.
	callInterval = 5 * time.Millisecond   // 200 calls a second.
	callCount    = 800                    // 4 s.
	killAfter    = 300                    // Calls: 1.5 s.
	wireTime     = 50 * time.Millisecond  // More than a message ever spends between two processes.
	wireMost     = 10                     // Messages that one moment can find there, on a busy machine.
)

// outcome is what its caller knows of a call.
type outcome struct {
	name     string
	protocol string
	begun    time.Time
	err      error
}

// TestKilledInstanceTakesOnlyItsOwnCalls kills one of two instances under load. Nothing else than what that instance was
// busy with may fail, and from then on nothing at all.
func TestKilledInstanceTakesOnlyItsOwnCalls(t *testing.T) {
	doomed, survivor := startInstance(t, callTime), startInstance(t, callTime)
	gw := serve(t, orderConfig("access_log: {disabled: true}", doomed.address, survivor.address))
	callers := protocols(t, gw.address)
	warmUp(t, callers["gRPC"], doomed, survivor)

	var gone time.Time
	outcomes := openLoop(t, callers, func() {
		_ = doomed.Process.Kill()
		<-doomed.exited
		gone = time.Now()
	})
	judge(t, outcomes, gone, doomed.read(t), survivor.read(t))
	if failed, blamed := failures(outcomes), blames(gw, doomed); failed != blamed {
		t.Errorf("%d calls failed, and the log blames the killed instance for %d", failed, blamed)
	}
}

func failures(outcomes []outcome) (count int) {
	for _, o := range outcomes {
		if o.err != nil {
			count++
		}
	}
	return count
}

// blames counts the calls that a gateway says to have lost to an instance.
func blames(gw *gateway, i *instance) (count int) {
	for line := range strings.Lines(gw.stderr.String()) {
		var entry struct{ Msg, Instance string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "call to backend failed" && entry.Instance == i.address {
			count++
		}
	}
	return count
}

// warmUp calls until both instances have answered.
func warmUp(t *testing.T, call getOrder, instances ...*instance) {
	t.Helper()
	for _, i := range instances {
		eventually(t, "a connection to each instance", func() bool {
			if err := call(t.Context(), "orders/warm-up"); err != nil {
				t.Fatal(err)
			}
			return i.read(t).knows(finished, "orders/warm-up")
		})
	}
}

// openLoop begins a call at each tick, whether earlier ones have been answered or not, and kills on the way.
func openLoop(t *testing.T, callers map[string]getOrder, kill func()) []outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	outcomes := make([]outcome, callCount)
	ticker := time.NewTicker(callInterval)
	defer ticker.Stop()
	var running sync.WaitGroup
	for n := range outcomes {
		<-ticker.C
		if n == killAfter {
			running.Go(kill)
		}
		running.Go(func() {
			o := &outcomes[n]
			o.name, o.protocol, o.begun = fmt.Sprintf("orders/%d", n), "REST", time.Now()
			if n/2%2 == 0 { // In pairs: each of two instances gets both.
				o.protocol = "gRPC"
			}
			o.err = callers[o.protocol](ctx, o.name)
		})
	}
	running.Wait()
	return outcomes
}

// judge compares what the callers saw with what the instances noted.
func judge(t *testing.T, outcomes []outcome, gone time.Time, doomed, survivor record) {
	t.Helper()
	var failed, inFlight, requests, answers int
	for _, o := range outcomes {
		busy := doomed.knows(began, o.name) && !doomed.knows(finished, o.name)
		if busy {
			inFlight++
		}
		if o.err == nil {
			if o.begun.After(gone.Add(time.Second)) && !survivor.knows(finished, o.name) {
				t.Errorf("%s was answered, but not by the instance that is left", o.name)
			}
			continue
		}
		failed++
		checkFailure(t, o)
		switch {
		case busy:
		case !doomed.knows(began, o.name) && !survivor.knows(began, o.name) && shortlyBefore(o.begun, gone):
			requests++
		case doomed.knows(finished, o.name) && shortlyBefore(doomed[finished][o.name], gone):
			answers++
		default:
			t.Errorf("%s over %s, begun %v after the kill, failed for no reason: %v", o.name, o.protocol, o.begun.Sub(gone), o.err)
		}
	}
	t.Logf("%d calls, %d failed: %d in flight, %d requests and %d answers on the wire", len(outcomes), failed, inFlight, requests, answers)
	if inFlight == 0 {
		t.Error("no call was in flight: nothing was tested")
	}
	if requests+answers > wireMost {
		t.Errorf("%d requests and %d answers were lost on the wire", requests, answers)
	}
}

// shortlyBefore tells whether a message sent at some time can have been unread when its reader was gone.
func shortlyBefore(sent, gone time.Time) bool {
	return sent.Before(gone) && sent.After(gone.Add(-wireTime))
}

// checkFailure wants failures to say what clients can act upon, and not where the instances are.
func checkFailure(t *testing.T, o outcome) {
	t.Helper()
	if code := status.Code(o.err); code != codes.Unavailable || strings.Contains(o.err.Error(), "127.0.0.1") {
		t.Errorf("%s over %s: %v", o.name, o.protocol, o.err)
	}
}
