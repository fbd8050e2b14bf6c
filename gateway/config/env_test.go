package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cardea-gateway/cardea/gateway/config"
)

func TestEnvironmentInText(t *testing.T) {
	t.Setenv("HOST", "example")
	t.Setenv("EMPTY", "")
	t.Setenv("STRUCTURE", "a: {b: [c]}\n- d # e")
	t.Setenv("REFERENCE", "${HOST} $HOST $$")
	t.Setenv("NULL", "null")
	for written, want := range map[string]string{
		`x${HOST}y`:              "xexampley",
		`"${HOST}"`:              "example",
		`'${HOST}'`:              "example",
		`${HOST}-${HOST}`:        "example-example",
		`${UNSET_VARIABLE:-d}`:   "d",
		`${EMPTY:-d}`:            "d",
		`${HOST:-d}`:             "example",
		`a${UNSET_NAME:-}`:       "a",
		`a${EMPTY}`:              "a",
		`"${UNSET_NAME:-{a:-b}"`: "{a:-b",
		`$$HOST`:                 "$HOST",
		`$${HOST}`:               "${HOST}",
		`a$$$$`:                  "a$$",
		`$$${HOST}`:              "$example",
		`${STRUCTURE}`:           "a: {b: [c]}\n- d # e",
		`${REFERENCE}`:           "${HOST} $HOST $$",
		`${NULL}`:                "null",
		`7${EMPTY}`:              "7",
	} {
		read, err := config.Parse("", []byte(minimal+"    tls:\n      server_name: "+written+"\n"))
		if err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		if got := read.Config().GetBackends()[0].GetTls().GetServerName(); got != want {
			t.Errorf("%s: got %q, want %q", written, got, want)
		}
	}
}

// TestEnvironmentIsTyped wants a value from the environment to be what it would be if it stood in the file.
func TestEnvironmentIsTyped(t *testing.T) {
	t.Setenv("SIZE", "8Mi")
	t.Setenv("ON", "true")
	t.Setenv("TIME", "1m30s")
	t.Setenv("BALANCING", "ROUND_ROBIN")
	cfg := accept(t, minimal+`    load_balancing: LOAD_BALANCING_${BALANCING}
limits: 
  max_message_bytes: ${SIZE}
reflection:
  enabled: ${ON}
drain_timeout: ${TIME}
`)
	if got := cfg.GetLimits().GetMaxMessageBytes(); got != 8<<20 {
		t.Errorf("a number: %d", got)
	}
	if !cfg.GetReflection().GetEnabled() {
		t.Error("a truth value")
	}
	if got := cfg.GetDrainTimeout().GetSeconds(); got != 90 {
		t.Errorf("a duration: %d", got)
	}
}

func TestExplainConcealsTheEnvironment(t *testing.T) {
	t.Setenv("TARGET", "dns:///hunter2:1")
	file, err := config.Parse("gateway.yaml", []byte(listeners+"backends:\n- {name: a, target: \"${TARGET}\", services: [a.A]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "gateway.yaml:4:21 backends[0].target: cannot use \"${TARGET}\"\n" +
		"   4 | - {name: a, target: \"${TARGET}\", services: [a.A]}\n   4 | ....................^"
	cause := errors.New(`cannot use "dns:///hunter2:1"`)
	if got := file.Explain(config.At("backends[0].target", cause)).Error(); got != want {
		t.Errorf("got %s", got)
	}
	if got := file.Explain(cause).Error(); got != `gateway.yaml: cannot use "${TARGET}"` {
		t.Errorf("got %s", got)
	}
}

func TestEnvironmentThatIsNoText(t *testing.T) {
	t.Setenv("LATIN1", "caf\xe9")
	_, err := config.Parse("gateway.yaml", []byte(minimal+"descriptors: {images: [\"${LATIN1}\"]}\n"))
	const want = "gateway.yaml:7:24 descriptors.images[0]: the value of the environment variable LATIN1 is not valid UTF-8\n"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}
