package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/gateway/config"
)

// TestYAMLShowsWhereEachValueComesFrom compares with testdata/effective.golden.yaml; -update rewrites it.
func TestYAMLShowsWhereEachValueComesFrom(t *testing.T) {
	t.Setenv("ORDERS", "static:///hunter2:50051")
	t.Setenv("STREAMS", "7")
	file, err := config.Load("testdata/effective.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/effective.golden.yaml"
	if *update {
		if err := os.WriteFile(golden, []byte(file.YAML()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), file.YAML()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	again, err := config.Load(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(file.Config(), again.Config(), protocmp.Transform()); diff != "" {
		t.Errorf("reads back as something else:\n%s", diff)
	}
}

func TestSettings(t *testing.T) {
	t.Setenv("SECRET", "hunter2")
	t.Setenv("HEADERS", "50")
	file, err := config.Parse("conf/gateway.yaml", []byte(minimal+`
admin: {address: "${ADMIN:-}"}
policies:
  - selectors: ["a.${SECRET}.*"]
    policy: {}
descriptors: {images: [a$$b.binpb, "c: \"d\"\ne"]}
reflection: {enabled: false}
limits: {max_headers: "${HEADERS}", max_url_bytes: 0}
drain_timeout: 59m
access_log: {}
trusted_proxies: []
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range file.Settings() {
		got[s.Path] = s.Value + " # " + s.Origin
	}
	for path, want := range map[string]string{
		"listeners[0].address":       "127.0.0.1:8080 # gateway.yaml:2",
		"admin.address":              "127.0.0.1:9901 # default",
		"backends[0].services[0]":    "food.order.v1.OrderService # gateway.yaml:6",
		"backends[0].load_balancing": "LOAD_BALANCING_ROUND_ROBIN # default",
		"policies[0].selectors[0]":   "a.${SECRET}.* # gateway.yaml:10 ${SECRET}",
		"policies[0].policy":         "{} # gateway.yaml:11",
		"descriptors.images[0]":      "a$$b.binpb # gateway.yaml:12",
		"descriptors.images[1]":      `"c: \"d\"\ne" # gateway.yaml:12`,
		"reflection.enabled":         "false # gateway.yaml:13",
		"limits.max_headers":         "50 # gateway.yaml:14 ${HEADERS}",
		"limits.max_url_bytes":       "8192 # default",
		"limits.max_body_bytes":      "4194304 # default",
		"drain_timeout":              "59m # gateway.yaml:15",
		"drain_delay":                "0s # default",
		"access_log":                 "{} # gateway.yaml:16",
		"trusted_proxies":            "[] # gateway.yaml:17",
		"access_log.disabled":        "",
	} {
		if got[path] != want {
			t.Errorf("%s: got %q, want %q", path, got[path], want)
		}
	}
	if strings.Contains(file.YAML(), "hunter2") {
		t.Error("what came from the environment shows")
	}
	if first, last := file.Settings()[0].Path, file.Settings()[len(got)-1].Path; first != "listeners[0].address" || last != "drain_delay" {
		t.Errorf("not in the order of the schema: from %s to %s", first, last)
	}
}
