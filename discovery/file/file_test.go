package file_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/file"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) discovery.Watch {
	t.Helper()
	w, err := file.NewSource().Open(&url.URL{Scheme: "file", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []discovery.Instance
	}{
		"everything": {
			`instances:
  - {address: "10.0.0.1:50051", weight: 3, zone: eu-1a, id: orders-1, metadata: {version: "2"}}
  - address: orders.internal:50051
    unhealthy: being repaired
    weight: 0
`,
			[]discovery.Instance{
				{Address: "10.0.0.1:50051", ID: "orders-1", Weight: 3, Zone: "eu-1a", Metadata: map[string]string{"version": "2"}},
				{Address: "orders.internal:50051", Unhealthy: "being repaired"},
			},
		},
		"addresses alone": {"instances: [{address: a:1}, {address: '[::1]:2'}]", []discovery.Instance{{Address: "a:1", Weight: 1}, {Address: "[::1]:2", Weight: 1}}},
		"JSON":            {`{"instances":[{"address":"a:1","weight":2}]}`, []discovery.Instance{{Address: "a:1", Weight: 2}}},
		"no instances":    {"instances: []", nil},
		"nothing":         {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "orders.yaml")
			write(t, path, tc.text)
			set, err := open(t, path).Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(set.Instances) != 0 || len(tc.want) != 0 {
				if diff := cmp.Diff(tc.want, set.Instances); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			}
			if set.After != 500*time.Millisecond {
				t.Errorf("looked at again after %s", set.After)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"instances: [{address: a:1}]\nmore: 1":                          "field more not found",
		"instances:\n  - {address: a:1}\n  - {adr: a:1}":                `:3: unknown field "adr"; want address, id`,
		"instances:\n  - {address: a:1}\n  - {address: a:1}":            `:3: address "a:1" stands in line 2 already`,
		"instances:\n  - {address: a}":                                  `:2: address "a": want host:port`,
		"instances:\n  - {address: a:0}":                                `port "0" is not a number from 1 to 65535`,
		"instances:\n  - {address: a:65536}":                            `port "65536" is not`,
		"instances:\n  - {address: ':1'}":                               "want host:port",
		"instances:\n  - {weight: 1}":                                   `address "": want host:port`,
		"instances:\n  - {address: a:1, weight: -1}":                    "line 2", // Of the YAML library.
		"instances:\n  - {address: a:1, weight: 4294967296}":            "4294967296",
		"instances:\n  - {address: a:1, weight: 0.9}":                   `:2: weight "0.9" is no whole number`,
		"instances:\n  - {address: a:1, unhealthy: false}":              `:2: unhealthy "false" is no text`,
		"instances:\n  - {address: a:1, weight: many}":                  "many",
		"instances:\n  - {address: a:1, address: b:1}":                  "already defined",
		"instances:\n  - a:1":                                           "cannot unmarshal",
		"instances: {address: a:1}":                                     "cannot unmarshal",
		"instances: [{address: a:1}]\n---\ninstances: [{address: b:1}]": "more than one document",
		"instances: [":               "did not find",
		strings.Repeat("#", 4<<20+1): "more than 4 MiB",
	} {
		path := filepath.Join(t.TempDir(), "orders.yaml")
		write(t, path, text)
		_, err := open(t, path).Next(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), strings.TrimPrefix(want, "line ")) ||
			!strings.HasPrefix(err.Error(), "file: "+path+":") {
			t.Errorf("%.60q: got %v, want one with %q", text, err, want)
		}
	}
}

// TestFollows has what deployments do to files.
func TestFollows(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "orders.yaml")
	w := open(t, path)
	next := func() string {
		set, err := w.Next(t.Context())
		if err != nil {
			return "error"
		}
		var all []string
		for _, i := range set.Instances {
			all = append(all, i.Address)
		}
		return strings.Join(all, " ")
	}
	expect := func(when, want string) {
		t.Helper()
		if got := next(); got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	expect("not there yet", "error")
	write(t, path, "instances: [{address: a:1}]")
	expect("written", "a:1")
	expect("unchanged", "a:1")
	write(t, path, "instances: [{address: b:1}]")
	expect("half written, though it looks whole", "a:1")
	write(t, path, "instances: [{address: b:1}, {address: c:1}]")
	expect("whole, and not known to be", "a:1")
	expect("the same again", "b:1 c:1")
	write(t, path, "instances: [{address: b:1}, {addr")
	expect("half written", "b:1 c:1")
	expect("a mistake", "error")
	expect("a mistake still", "error")
	write(t, path, "instances: [{address: b:1}, {address: c:1}]")
	expect("as it was, and not known to stay", "b:1 c:1")
	expect("as it was", "b:1 c:1")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("removed", "error")
	for _, version := range []string{"1", "2"} { // As a ConfigMap.
		target := filepath.Join(dir, version)
		write(t, target, "instances: [{address: v"+version+":1}]")
		link := filepath.Join(dir, "next")
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, path); err != nil {
			t.Fatal(err)
		}
		next()
		expect("a link to version "+version, "v"+version+":1")
	}
}

func TestPipeDoesNotBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path).Next(t.Context()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

func TestTargets(t *testing.T) {
	for target, ok := range map[string]bool{
		"file:///etc/cardea/orders.yaml": true, "file:///orders": true,
		"file://orders.yaml": false, "file:orders.yaml": false, "file:///": false, "file:///dir/": false, "file://host/x": false,
		"file:///x?y=1": false, "file:///x#y": false, "dns:///x": false, "file:///%zz": false,
	} {
		if err := file.Parse(target); (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestAuthority(t *testing.T) {
	named, ok := file.NewSource().(interface{ Authority(target *url.URL) string })
	if !ok {
		t.Fatal("it has no name for servers")
	}
	if got := named.Authority(&url.URL{Path: "/etc/my orders_v2.prod.yaml"}); got != "my-orders-v2" {
		t.Errorf("got %q", got)
	}
}

// FuzzFile expects every file to be refused with an error or to give addresses that can be dialed, each once.
func FuzzFile(f *testing.F) {
	f.Add([]byte("instances: [{address: a:1, weight: 2, metadata: {a: b}}]"))
	f.Add([]byte("instances:\n- &a {address: a:1}\n- *a"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := open(t, path).Next(t.Context())
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, i := range set.Instances {
			if seen[i.Address] || !strings.Contains(i.Address, ":") {
				t.Errorf("address %q", i.Address)
			}
			seen[i.Address] = true
		}
	})
}
