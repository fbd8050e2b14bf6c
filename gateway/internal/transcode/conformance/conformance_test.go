package conformance

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// asTestee is the variable that makes of this binary the testee, of the transcoder that it names.
const asTestee = "CARDEA_CONFORMANCE_TESTEE"

func TestMain(m *testing.M) {
	name := os.Getenv(asTestee)
	if name == "" {
		os.Exit(m.Run())
	}
	testee, err := newTestee(name)
	if err == nil {
		err = testee.serve(os.Stdin, os.Stdout)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// The cases of the suite up to edition 2023 that have JSON on either side, and those that have binary messages on both.
const (
	withJSON    = 2762
	withoutJSON = 2805
)

func TestConformance(t *testing.T) {
	runner := install(t)
	for name := range transcoders {
		t.Run(name, func(t *testing.T) {
			r := run(t, runner, name)
			t.Logf("%d cases with JSON: %d passed, %d failed; %d without", r.passed+r.failed, r.passed, r.failed, r.skipped)
			if r.failed != 0 || r.passed != withJSON || r.skipped != withoutJSON {
				t.Errorf("want all of %d cases passed, and %d skipped; failed:\n%s", withJSON, withoutJSON, r.failures)
			}
		})
	}
}

// TestTheRunnerFindsFailures is for the harness: if nobody ever failed, passing would mean nothing.
func TestTheRunnerFindsFailures(t *testing.T) {
	r := run(t, install(t), silent)
	if r.failed == 0 || r.passed+r.failed != withJSON {
		t.Errorf("%d passed, %d failed, want failures, and %d in all", r.passed, r.failed, withJSON)
	}
	const failure = "Required.Proto3.JsonInput.HelloWorld.JsonOutput"
	if !strings.Contains(r.failures, failure) {
		t.Errorf("%s passed without an answer", failure)
	}
}

// install returns the path of the runner.
func install(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the runner comes from npm: run without -short")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c",
		". tools/env.sh && tools/install conformance >&2 && command -v conformance")
	// The script finds its folder by the name under which it is sourced.
	cmd.Dir = "../../../.."
	path, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("no runner. tools/install conformance has to work first, it said:\n%s", exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(path))
}

// report is what the runner says of its cases with binary messages and JSON.
type report struct {
	passed, skipped, failed int
	failures                string // a line each
}

var summary = regexp.MustCompile(`CONFORMANCE SUITE \w+: (\d+) successes, (\d+) skipped, 0 expected failures, (\d+) unexpected failures`)

// run puts a transcoder through the suite. What the suite only recommends is asked for as well.
func run(t *testing.T, runner, name string) report {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), runner,
		"--enforce_recommended", "--maximum_edition", "2023", "--output_dir", dir, self)
	cmd.Env = append(os.Environ(), asTestee+"="+name)
	out, err := cmd.CombinedOutput()
	// After it comes that of the text format, if this one passed.
	counts := summary.FindSubmatch(out)
	if counts == nil {
		t.Fatalf("the runner did not finish: %v\n%s", err, last(out))
	}
	var r report
	for i, n := range []*int{&r.passed, &r.skipped, &r.failed} {
		*n, _ = strconv.Atoi(string(counts[i+1]))
	}
	if err != nil && r.failed == 0 {
		t.Fatalf("the runner: %v\n%s", err, last(out))
	}
	// Not written unless something failed.
	failures, _ := os.ReadFile(filepath.Join(dir, "failing_tests.txt"))
	r.failures = string(failures)
	return r
}

// last returns the end of an output that can have megabytes.
func last(out []byte) []byte { return out[max(0, len(out)-4<<10):] }
