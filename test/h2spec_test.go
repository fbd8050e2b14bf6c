package test

import (
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// http2Failures are the cases of h2spec that net/http fails, and with it this front. Each is named, so that one more does not
// go unnoticed, nor one less.
var http2Failures = []string{
	// What comes after the stream has ended is ignored, not an error of the connection.
	"4.2. Frame Size: Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE",
	// A setting that stands twice is refused, which is stricter than the specification.
	"6.5.3. Settings Synchronization: Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE",
	// Headers of the connection are answered with 400 instead of a stream error. No backend sees them.
	"8.1.2.2. Connection-Specific Header Fields: Sends a HEADERS frame that contains the connection-specific header field",
	`8.1.2.2. Connection-Specific Header Fields: Sends a HEADERS frame that contains the TE header field with any value other than "trailers"`,
}

// cleartextFailure is one more where net/http has to guess: it takes a broken preface for HTTP/1.1.
const cleartextFailure = "3.5. HTTP/2 Connection Preface: Sends invalid connection preface"

// TestHTTP2Specification runs h2spec in its strict mode against a port without TLS and one with it.
func TestHTTP2Specification(t *testing.T) {
	certificate, _ := selfSigned(t)
	// Streams must be open for a moment, and bodies be read: the cases are about both.
	backend := startInstance(t, 20*time.Millisecond)
	const public = "      - food.order.v1.OrderService.GetOrder"
	opened := strings.Replace(orderConfig("access_log: {disabled: true}", backend.address), public,
		"      - food.order.v1.OrderService.CreateOrder\n      - food.order.v1.OrderService.ListOrders", 1)
	for name, tc := range map[string]struct {
		tls   string
		flags []string
		fails []string
	}{
		"cleartext": {"", nil, append(slices.Clone(http2Failures), cleartextFailure)},
		"TLS":       {"\n    tls:\n" + certificate, []string{"--tls", "--insecure"}, http2Failures},
	} {
		t.Run(name, func(t *testing.T) {
			gw := serve(t, strings.Replace(opened, "- address: 127.0.0.1:0", "- address: 127.0.0.1:0"+tc.tls, 1))
			passed, failed := h2spec(t, gw.address, tc.flags...)
			t.Logf("%d of %d cases passed", passed, passed+len(failed))
			want := slices.Sorted(slices.Values(tc.fails))
			if slices.Sort(failed); !slices.Equal(failed, want) {
				t.Errorf("failed:\n%s\nwant:\n%s", strings.Join(failed, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// h2spec runs all cases and returns how many passed, and which did not.
func h2spec(t *testing.T, address string, flags ...string) (passed int, failed []string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	p := start(t, exec.Command(tool(t, "h2spec"), append([]string{"--host", host, "--port", port, "--path", "/v1/orders", "--strict", "--junit-report", report}, flags...)...))
	<-p.exited // It fails where a case does, and takes 10 s.
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string  `xml:"classname,attr"`
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, suite := range all.Suites {
		for _, c := range suite.Cases {
			if c.Failure == nil && c.Error == nil {
				passed++
				continue
			}
			failed = append(failed, fmt.Sprintf("%s: %s", suite.Name, c.Name))
		}
	}
	return passed, failed
}
