package instances_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/discovery"
)

const quick = 20 * time.Millisecond

// TestFaults breaks one of three instances in a way, under a constant load, and says when it must have no more calls.
func TestFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		fault func(*fleet, *server)
		by    time.Duration // When the instance must be out.
		why   string
		heal  func(*server)
	}{
		"frozen: it takes calls and never answers": {
			fault: func(_ *fleet, s *server) { s.freeze() }, by: 3 * time.Second, why: "", heal: (*server).thaw,
		},
		"slow: a hundred times as slow as the others": {
			fault: func(_ *fleet, s *server) { s.do(takes(2 * time.Second)) }, by: 3 * time.Second, why: "ejected: ",
			heal: func(s *server) { s.do(takes(quick)) },
		},
		"failing: UNAVAILABLE": {
			fault: func(_ *fleet, s *server) { s.do(answers(codes.Unavailable)) }, by: time.Second, why: "ejected: ",
			heal: func(s *server) { s.do(takes(quick)) },
		},
		"failing: INTERNAL": {
			fault: func(_ *fleet, s *server) { s.do(answers(codes.Internal)) }, by: time.Second, why: "ejected: ",
			heal: func(s *server) { s.do(takes(quick)) },
		},
		"not serving by its own word": {
			fault: func(_ *fleet, s *server) {
				s.say(func() (*healthpb.HealthCheckResponse, error) {
					return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_NOT_SERVING}, nil
				})
			}, by: 1500 * time.Millisecond, why: "health check: it answers NOT_SERVING",
			heal: func(s *server) { s.say(nil) },
		},
		"killed": {
			fault: func(f *fleet, s *server) { f.kill(s.address) }, by: 100 * time.Millisecond, why: "connection: ",
		},
		"unhealthy in the registry": {
			fault: func(f *fleet, s *server) {
				all := f.all()
				all[1].Unhealthy = "check disk is critical"
				f.tell(all...)
			}, by: 100 * time.Millisecond, why: "registry: check disk is critical",
			heal: nil,
		},
		"no weight in the registry": {
			fault: func(f *fleet, s *server) {
				all := f.all()
				all[1].Weight = 0
				f.tell(all...)
			}, by: 100 * time.Millisecond, why: "registry: weight 0",
		},
		"gone from the registry": {
			fault: func(f *fleet, s *server) { all := f.all(); f.tell(all[0], all[2]) },
			by:    100 * time.Millisecond, why: "no such instance",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, 3, defaults())
				defer f.stop()
				for _, s := range f.servers {
					s.do(takes(quick))
				}
				l := f.load(10*time.Millisecond, 15*time.Second)
				defer l.stop()
				b := f.servers["b:1"]
				if got := b.spent(10 * time.Second); got < 300 {
					t.Fatalf("%d calls before the fault", got)
				}
				tc.fault(f, b)
				wait(tc.by)
				if got := f.out("b:1"); !strings.HasPrefix(got, tc.why) || tc.why == "" && got == "" {
					t.Errorf("it is out because of %q, want %q", got, tc.why)
				}
				if got := b.spent(2 * time.Second); got > 0 {
					t.Errorf("%d calls after %s", got, tc.by)
				}
				if tc.heal == nil {
					return
				}
				tc.heal(b)
				wait(15 * time.Second)
				if got := b.spent(3 * time.Second); got < 90 || f.out("b:1") != "" {
					t.Errorf("%d calls after it was well again; out: %q", got, f.out("b:1"))
				}
			})
		})
	}
}

// TestNobodyIsOut has things happen that are not an instance's fault.
func TestNobodyIsOut(t *testing.T) {
	for name, tc := range map[string]struct {
		do      func(*fleet)
		timeout time.Duration
	}{
		"one instance answers NOT_FOUND to everything": {
			do: func(f *fleet) { f.servers["b:1"].do(answers(codes.NotFound)) }, timeout: time.Second,
		},
		"one instance answers RESOURCE_EXHAUSTED and the like": {
			do: func(f *fleet) { f.servers["b:1"].do(answers(codes.ResourceExhausted)) }, timeout: time.Second,
		},
		"clients cancel everything": {
			do: func(f *fleet) {
				for _, s := range f.servers {
					s.do(takes(time.Minute))
				}
			}, timeout: 5 * time.Millisecond,
		},
		"all instances fail alike, as a database is down": {
			do: func(f *fleet) {
				for _, s := range f.servers {
					s.do(answers(codes.Internal))
				}
			}, timeout: time.Second,
		},
		"all instances become slow alike": {
			do: func(f *fleet) {
				for _, s := range f.servers {
					s.do(takes(3 * time.Second))
				}
			}, timeout: 10 * time.Second,
		},
		"a method that takes its time": {
			do: func(f *fleet) {
				for _, s := range f.servers {
					s.do(takes(900 * time.Millisecond))
				}
				wait(20 * time.Second)
				f.servers["b:1"].do(takes(1500 * time.Millisecond))
			}, timeout: 10 * time.Second,
		},
		"servers that know no health checks": {
			do: func(f *fleet) {
				for _, s := range f.servers {
					s.say(func() (*healthpb.HealthCheckResponse, error) { return nil, status.Error(codes.Unimplemented, "no") })
				}
			}, timeout: time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, 3, defaults())
				defer f.stop()
				for _, s := range f.servers {
					s.do(takes(quick))
				}
				l := f.load(10*time.Millisecond, tc.timeout)
				defer l.stop()
				wait(10 * time.Second)
				tc.do(f)
				for range 100 {
					wait(100 * time.Millisecond)
					for name := range f.servers {
						if why := f.out(name); why != "" {
							t.Fatalf("%s is out: %s", name, why)
						}
					}
				}
				for name, s := range f.servers {
					if got := s.spent(3 * time.Second); got < 90 {
						t.Errorf("%s got %d calls in 3 s", name, got)
					}
				}
			})
		})
	}
}

func TestPanicThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 4, defaults())
		defer f.stop()
		l := f.load(10*time.Millisecond, time.Second)
		defer l.stop()
		wait(time.Second)
		all := f.all()
		all[0].Unhealthy, all[1].Unhealthy = "x", "x"
		f.tell(all...)
		wait(time.Second)
		if got := f.servers["a:1"].spent(time.Second); got > 0 || f.set.Status().Panicking {
			t.Errorf("half are fit: %d calls to one that is not", got)
		}
		all[2].Unhealthy = "x"
		f.tell(all...)
		wait(time.Second)
		for name, s := range f.servers {
			if got := s.spent(time.Second); got < 20 {
				t.Errorf("a quarter is fit: %d calls to %s, want all to be used", got, name)
			}
		}
		if !f.set.Status().Panicking {
			t.Error("it is not shown")
		}
		f.kill("a:1") // Those that can't be connected don't count.
		f.kill("b:1")
		wait(5 * time.Second)
		if got := f.servers["c:1"].spent(time.Second); got > 0 || f.set.Status().Panicking {
			t.Errorf("half of what is left is fit: %d calls to the one that is not", got)
		}
		all[0].Unhealthy, all[1].Unhealthy, all[2].Unhealthy = "", "", ""
		f.serve("a:1")
		f.serve("b:1")
		f.tell(all...)
		wait(5 * time.Second)
		for name, s := range f.servers {
			if got := s.spent(time.Second); got < 20 {
				t.Errorf("all are fit again: %d calls to %s", got, name)
			}
		}
	})
}

// TestNoCallsToTheDeaf freezes most of the instances: they don't answer, so to use all of them would help nobody. Only where nobody
// answers are all of them used.
func TestNoCallsToTheDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 4, defaults())
		defer f.stop()
		l := f.load(10*time.Millisecond, time.Second)
		defer l.stop()
		wait(time.Second)
		deaf := []*server{f.servers["a:1"], f.servers["b:1"], f.servers["c:1"]}
		for _, s := range deaf {
			s.freeze()
		}
		wait(4 * time.Second)
		for _, s := range deaf {
			if got := s.spent(time.Second); got > 0 {
				t.Errorf("%d calls to %s, which does not answer", got, s.address)
			}
		}
		if got := f.servers["d:1"].spent(time.Second); got < 90 || f.set.Status().Panicking {
			t.Errorf("%d calls to the only one that answers", got)
		}
		f.servers["d:1"].freeze()
		wait(4 * time.Second)
		if got := deaf[0].spent(time.Second); got < 20 {
			t.Errorf("nobody answers: %d calls to one of them", got)
		}
		for _, s := range f.servers {
			s.thaw()
		}
		wait(10 * time.Second)
		for name, s := range f.servers {
			if got := s.spent(time.Second); got < 20 || f.out(name) != "" {
				t.Errorf("all are well again: %d calls to %s, which is out because of %q", got, name, f.out(name))
			}
		}
	})
}

// TestAnsweredCallsAreHealth has health checks time out on an instance that answers calls, as where the gateway has no time.
func TestAnsweredCallsAreHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 3, defaults())
		defer func() {
			f.stop()
			wait(5 * time.Second) // For answers that nobody waits for.
		}()
		f.servers["b:1"].say(func() (*healthpb.HealthCheckResponse, error) {
			wait(3 * time.Second)
			return nil, status.Error(codes.Unavailable, "late")
		})
		l := f.load(10*time.Millisecond, time.Second)
		wait(10 * time.Second)
		if got := f.out("b:1"); got != "" {
			t.Errorf("it is out because of %q", got)
		}
		l.stop()
		wait(10 * time.Second)
		if got := f.out("b:1"); got != "health check: no answer within 1s" {
			t.Errorf("without calls, it is out because of %q", got)
		}
	})
}

// TestUnhealthyFromTheStart expects an instance that the registry calls unhealthy to get no call while the others connect.
func TestUnhealthyFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 3, defaults())
		defer f.stop()
		all := f.all()
		all[0].Unhealthy = "x"
		f.found.InitialState(f.state(all...))
		f.tell(all...)
		for range 100 {
			if picked, err := f.call(&one{}, time.Second); err != nil || picked == "a:1" {
				t.Fatalf("%s, %v", picked, err)
			}
		}
	})
}

func TestRetriesGoElsewhere(t *testing.T) {
	for _, balancer := range []string{"round_robin", "least_request_experimental", "ring_hash_experimental", "weighted_round_robin"} {
		t.Run(balancer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := defaults()
				o.Balancer = balancer
				if balancer == "ring_hash_experimental" {
					o.Config, o.HashHeader = []byte(`{"requestHashHeader":"cardea-hash-key"}`), "cardea-hash-key"
				}
				f := start(t, 3, o)
				defer f.stop()
				for range 30 { // ring_hash connects when it has to, to one at a time.
					f.call(&one{}, time.Second)
					wait(100 * time.Millisecond)
				}
				wait(5 * time.Second)
				for range 30 {
					if picked, err := f.call(&one{avoid: []string{"a:1", "b:1"}, key: "k"}, time.Second); err != nil || picked != "c:1" {
						t.Fatalf("picked %s, %v", picked, err)
					}
				}
				if _, err := f.call(&one{avoid: []string{"a:1", "b:1", "c:1"}}, time.Second); err != nil {
					t.Errorf("where all are to be avoided, any will do: %v", err)
				}
				for _, i := range f.set.Status().Instances {
					if i.Calls != 0 {
						t.Errorf("%d calls are left on %s", i.Calls, i.Address)
					}
				}
			})
		})
	}
}

func TestRingHashKeepsCallsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := defaults()
		o.Balancer, o.HashHeader, o.Config = "ring_hash_experimental", "cardea-hash-key", []byte(`{"requestHashHeader":"cardea-hash-key"}`)
		f := start(t, 3, o)
		defer f.stop()
		homes := map[string]bool{}
		for key := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyz", "") {
			home, err := f.call(&one{key: key}, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			homes[home] = true
			for range 10 {
				if picked, _ := f.call(&one{key: key}, time.Second); picked != home {
					t.Errorf("key %s: %s, then %s", key, home, picked)
				}
			}
		}
		if len(homes) != 3 {
			t.Errorf("keys live on %v only", homes)
		}
	})
}

// TestStickyCalls has one client, whose calls all go to one instance, be answered with errors of the application: that puts nobody
// out. An instance that can't do anything for it does go.
func TestStickyCalls(t *testing.T) {
	for code, out := range map[codes.Code]bool{codes.Internal: false, codes.Unknown: false, codes.Unavailable: true} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := defaults()
				o.Balancer, o.HashHeader, o.Config = "ring_hash_experimental", "cardea-hash-key", []byte(`{"requestHashHeader":"cardea-hash-key"}`)
				o.Ejection.Sticky = true
				f := start(t, 3, o)
				defer f.stop()
				home, _ := f.call(&one{key: "k"}, time.Second)
				for range 20 {
					f.call(&one{}, time.Second) // Until all are connected.
				}
				f.servers[home].do(answers(code))
				for range 20 {
					f.call(&one{key: "k"}, time.Second)
					wait(50 * time.Millisecond)
				}
				if got := f.out(home); (got != "") != out {
					t.Errorf("it is out because of %q", got)
				}
			})
		})
	}
}

// TestNothingIsKnownOfOthers has all calls go to one instance, which others could serve no better for all that is known.
func TestNothingIsKnownOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 2, defaults())
		defer f.stop()
		wait(time.Second)
		f.servers["a:1"].do(answers(codes.Internal))
		for range 20 {
			f.call(&one{avoid: []string{"b:1"}}, time.Second)
		}
		wait(time.Second)
		if got := f.out("a:1"); got != "" {
			t.Errorf("it is out because of %q", got)
		}
	})
}

// TestTrial expects an instance that still fails after its ejection to get one call at a time, and to be out twice as long.
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 3, defaults())
		defer f.stop()
		l := f.load(10*time.Millisecond, time.Second)
		defer l.stop()
		b := f.servers["b:1"]
		wait(10 * time.Second)
		b.do(answers(codes.Internal))
		wait(time.Second)
		if got := b.spent(3 * time.Second); got != 0 {
			t.Fatalf("%d calls during the first ejection", got)
		}
		if got := b.spent(3 * time.Second); got != 1 {
			t.Errorf("%d calls in the first trial, want 1", got)
		}
		if got := b.spent(7 * time.Second); got != 0 {
			t.Errorf("%d calls during the second ejection, which is twice as long", got)
		}
		b.do(nil)
		wait(4 * time.Second)
		if got := b.spent(3 * time.Second); got < 90 {
			t.Errorf("%d calls after a trial that went well", got)
		}
	})
}

// TestMoreConnections expects a second connection where the first is full, and it to go when it is not needed.
func TestMoreConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := defaults()
		o.MaxStreams, o.MaxConnections, o.Ejection.SlowCall = 10, 3, 0
		f := start(t, 1, o)
		defer f.stop()
		f.servers["a:1"].do(takes(5 * time.Second))
		connections := func() int { return f.set.Status().Instances[0].Connections }
		wait(time.Second)
		if got := connections(); got != 1 {
			t.Errorf("%d connections at rest", got)
		}
		l := f.load(100*time.Millisecond, time.Minute) // Fifty at a time.
		wait(6 * time.Second)
		if got := connections(); got != 3 {
			t.Errorf("%d connections under load, want 3", got)
		}
		if f.set.Status().Queued == 0 {
			t.Error("no call was counted that found all connections full")
		}
		l.stop()
		wait(2 * time.Minute)
		if got := connections(); got != 1 {
			t.Errorf("%d connections after the load", got)
		}
		if len(l.errors) > 0 {
			t.Errorf("errors: %v", l.errors)
		}
	})
}

// TestLeaveWithConnections expects the other connections of an instance to end when the registry forgets it.
func TestLeaveWithConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := defaults()
		o.MaxStreams, o.MaxConnections = 1, 4
		f := start(t, 2, o)
		defer f.stop()
		for _, s := range f.servers {
			s.do(takes(500 * time.Millisecond))
		}
		l := f.load(50*time.Millisecond, time.Minute)
		defer l.stop()
		wait(3 * time.Second)
		f.tell(discovery.Instance{Address: "a:1", Weight: 1})
		wait(time.Second)
		if got := f.servers["b:1"].spent(5 * time.Second); got > 0 {
			t.Errorf("%d calls", got)
		}
		if len(l.errors) > 0 {
			t.Errorf("errors: %v", l.errors)
		}
	})
}
