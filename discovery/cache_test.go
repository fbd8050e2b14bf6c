package discovery_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-gateway/cardea/discovery"
)

func TestCache(t *testing.T) {
	down := answer{err: errors.New("connection refused")}
	for name, test := range map[string]struct {
		first, second func(f *fixture)
		want          string
		states        int
	}{
		"the registry fails": {
			first:  func(f *fixture) { f.says(of("b:1", "a:1")); wait(2 * time.Second) },
			second: func(f *fixture) { f.says(down) }, want: "a:1 b:1", states: 1,
		},
		"the registry is silent": {
			first:  func(f *fixture) { f.says(of("a:1")); wait(2 * time.Second) },
			second: func(*fixture) { wait(1100 * time.Millisecond) }, want: "a:1", states: 1,
		},
		"the registry is empty": {
			first:  func(f *fixture) { f.says(of("a:1")); wait(2 * time.Second) },
			second: func(f *fixture) { f.says(of()) }, want: "a:1", states: 1,
		},
		"the registry takes its time": {
			first:  func(f *fixture) { f.says(of("a:1")); wait(2 * time.Second) },
			second: func(f *fixture) { wait(900 * time.Millisecond); f.says(of("b:1")); wait(time.Minute) }, want: "b:1", states: 1,
		},
		"the registry is back": {
			first:  func(f *fixture) { f.says(of("a:1")); wait(2 * time.Second) },
			second: func(f *fixture) { f.says(down); f.says(of("b:1")); wait(time.Minute) }, want: "b:1", states: 2,
		},
		"the process ended at once": {
			first:  func(f *fixture) { f.says(of("a:1")) },
			second: func(f *fixture) { f.says(down) }, want: "a:1", states: 1,
		},
		"news came": {
			first:  func(f *fixture) { f.says(of("a:1")); wait(2 * time.Second); f.says(of("b:1")); wait(2 * time.Second) },
			second: func(f *fixture) { f.says(down) }, want: "b:1", states: 1,
		},
		"nothing was ever known": {
			first:  func(f *fixture) { f.says(down); wait(2 * time.Second) },
			second: func(f *fixture) { f.says(down); wait(2 * time.Second) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "cache", "orders.json")
				f := watch(t, path)
				test.first(f)
				f.running.Close()
				f = watch(t, path)
				defer f.running.Close()
				test.second(f)
				if f.conn.last() != test.want || len(f.conn.states) != test.states {
					t.Errorf("grpc was told %q in the end, want %q; %d times", f.conn.last(), test.want, len(f.conn.states))
				}
			})
		})
	}
}

// TestCacheKeepsEverything wants what operators see to be as it was, and as old as it is.
func TestCacheKeepsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "orders.json")
		f := watch(t, path)
		whole := discovery.Instance{
			Address: "a:1", ID: "orders-1", Weight: 7, Zone: "eu", Unhealthy: "its check", Metadata: map[string]string{"k": "v"},
		}
		began := time.Now()
		for range 20 { // Confirmed all the while, changed never.
			f.says(answer{set: discovery.Set{Instances: []discovery.Instance{whole}}})
			wait(10 * time.Second)
		}
		f.running.Close()
		wait(time.Hour)
		f = watch(t, path)
		defer f.running.Close()
		f.says(answer{err: errors.New("connection refused")})
		st := f.resolver.Status()
		if len(st.Instances) != 1 || !st.Instances[0].Equal(&whole) {
			t.Errorf("got %+v", st.Instances)
		}
		if age := time.Since(st.AsOf); age < time.Hour || age > time.Hour+90*time.Second || !st.Changed.Equal(began) || st.Err == nil {
			t.Errorf("%v old, changed %v, %v", age, st.Changed, st.Err)
		}
		if !strings.Contains(f.log.String(), "the instances of the cache are used") {
			t.Errorf("the log does not say so: %s", f.log)
		}
	})
}

func TestCacheIsOfNoUse(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"half a file":     `{"target":"test:///orders","instances":[{"addr`,
		"another target":  `{"target":"test:///payments","instances":[{"address":"a:1"}]}`,
		"no instances":    `{"target":"test:///orders","instances":[]}`,
		"null":            `null`,
		"another form":    `[]`,
		"a bad address":   `{"target":"test:///orders","instances":[{"address":"a:1"},{"address":"a"}]}`,
		"a socket's path": `{"target":"test:///orders","instances":[{"address":"unix:/tmp/s"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "orders.json")
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				f := watch(t, path)
				defer f.running.Close()
				f.says(answer{err: errors.New("connection refused")})
				f.says(answer{err: errors.New("connection refused")})
				if len(f.conn.states) != 0 || len(f.conn.errors) != 2 {
					t.Errorf("grpc was told %v, %v", f.conn.states, f.conn.errors)
				}
				if got := strings.Count(f.log.String(), path); got != 1 {
					t.Errorf("the log tells of the file %d times: %s", got, f.log)
				}
			})
		})
	}
}

// TestCacheCanNotBeWritten makes sure that a full disk costs the cache and nothing else.
func TestCacheCanNotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f := watch(t, filepath.Join(file, "orders.json"))
		defer f.running.Close()
		for range 50 {
			f.says(of("a:1"))
			wait(time.Second)
		}
		if got := strings.Count(f.log.String(), "can't be kept"); f.conn.last() != "a:1" || got != 1 {
			t.Errorf("grpc was told %q; %d lines in the log: %s", f.conn.last(), got, f.log)
		}
	})
}
