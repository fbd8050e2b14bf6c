package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckAcceptsWhatServeServes(t *testing.T) {
	path := writeConfig(t, orderConfig("", "127.0.0.1:1"))
	code, stdout, stderr := run(t, "check", "--config", path)
	if code != 0 || stdout != path+": valid\n" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// TestCheckExplainsEveryMistake has mistakes of the file, and those that only compiling it finds.
func TestCheckExplainsEveryMistake(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(string) string
		want   []string // Behind the name of the file, a line each.
	}{
		"in the file": {
			func(valid string) string {
				return strings.Replace(valid, "    target:", "    targets:", 1) + "drain_timeout: 2h\n"
			},
			[]string{
				":7:5 unknown field \"targets\", expected one of name, target, services, load_balancing, tls, hosts, reflection, " +
					"hash_key, slow_start, prefer_zone, outlier_detection, health_check, panic_threshold, connections; did you mean target?",
				":16:16 drain_timeout: must be greater than or equal to 0s and less than or equal to 3600s",
			},
		},
		"in what it selects": {
			func(valid string) string {
				return strings.Replace(valid, "OrderService.GetOrder", "OrderService.GetOrders", 1)
			},
			[]string{":12:9 policies[0].selectors[0]: food.order.v1.OrderService.GetOrders matches no method of a backend's services; " +
				"did you mean food.order.v1.OrderService.GetOrder?"},
		},
		"in what it loads": {
			func(valid string) string { return valid + "descriptors: {images: [nope.binpb]}\n" },
			[]string{":16:24 descriptors.images[0]: descriptor image FOLDER/nope.binpb: no such file or directory"},
		},
		"in the environment": {
			func(valid string) string { return valid + "drain_timeout: ${CARDEA_TEST_UNSET}\n" },
			[]string{":16:16 drain_timeout: the environment variable CARDEA_TEST_UNSET is not set; set it, or write ${CARDEA_TEST_UNSET:-default}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeConfig(t, tc.change(orderConfig("", "127.0.0.1:1")))
			code, stdout, stderr := run(t, "check", "--config", path)
			if code != 1 || stdout != "" {
				t.Errorf("exit code %d, stdout %q", code, stdout)
			}
			var want []string
			for _, line := range tc.want {
				want = append(want, path+strings.ReplaceAll(line, "FOLDER", filepath.Dir(path)))
			}
			if diff := cmp.Diff(want, problemLines(stderr)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// problemLines returns the messages out of a list of problems, without the lines of the file that it shows.
func problemLines(stderr string) []string {
	var lines []string
	for line := range strings.Lines(strings.TrimPrefix(stderr, "cardea: ")) {
		if !regexp.MustCompile(`^ *[0-9]+ \|`).MatchString(line) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func TestConfigPrintsWhatIsInForce(t *testing.T) {
	path := writeConfig(t, strings.Replace(orderConfig("", "127.0.0.1:1"), "127.0.0.1:0", "${CARDEA_TEST_ADDRESS:-127.0.0.1:0}", 1))
	code, first, stderr := run(t, "config", "--config", path)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	name := filepath.Base(path)
	for _, line := range []string{
		"  - address: 127.0.0.1:0 # " + name + ":2 ${CARDEA_TEST_ADDRESS}\n",
		"    target: static:///127.0.0.1:1 # " + name + ":7\n",
		"drain_timeout: 30s # default\n",
	} {
		if !strings.Contains(first, line) {
			t.Errorf("lacks %q:\n%s", line, first)
		}
	}
	if err := os.WriteFile(path, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	code, second, stderr := run(t, "config", "--config", path)
	if code != 0 || stderr != "" {
		t.Fatalf("what it prints is refused: %s", stderr)
	}
	comments := regexp.MustCompile(` # .*`)
	if diff := cmp.Diff(comments.ReplaceAllString(first, ""), comments.ReplaceAllString(second, "")); diff != "" {
		t.Errorf("reads back as something else: %s", diff)
	}
}

func TestConfigRefusesWhatCheckRefuses(t *testing.T) {
	code, stdout, stderr := run(t, "config", "--config", writeConfig(t, "listeners: 7\n"))
	if code != 1 || stdout != "" || !strings.Contains(stderr, ":1:12 listeners: must be a list, not a single value") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
