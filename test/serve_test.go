package test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// run runs cardea to its end and returns its exit code and what it printed.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, exec.Command(cardea, args...))
	code = p.exitCode(t)
	return code, p.stdout.String(), p.stderr.String()
}

// TestBrokenConfigurationIsShownWithItsPlace wants each mistake of a file, not only the first.
func TestBrokenConfigurationIsShownWithItsPlace(t *testing.T) {
	valid := orderConfig("", "127.0.0.1:1")
	replace := func(before, after string) string { return strings.Replace(valid, before, after, 1) }
	for name, tc := range map[string]struct {
		text string
		says []string // Behind the name of the file.
	}{
		"unknown field":     {replace("backends:", "backend:"), []string{`:5:1 unknown field "backend"`}},
		"unknown below":     {replace("    target:", "    targets:"), []string{`:7:5 unknown field "targets"`}},
		"address":           {replace("address: 127.0.0.1:0", "address: localhost"), []string{":2:14 listeners[0].address: must be host:port"}},
		"target":            {replace("static:///", "static://"), []string{":7:13 backends[0].target: must be consul:///"}},
		"public wildcard":   {replace("OrderService.GetOrder", "*"), []string{":12:9 policies[0].selectors[0]: a wildcard cannot make a method public"}},
		"selector":          {replace("OrderService.GetOrder", "Order*"), []string{":12:9 policies[0].selectors[0]: must be a full method name"}},
		"misspelled method": {replace("OrderService.GetOrder", "OrderService.GetOrders"), []string{":12:9 "}},
		"wrong type":        {valid + "access_log: {disabled: perhaps}\n", []string{":16:24 "}},
		"key twice":         {valid + "admin: {}\n", []string{":16:1 "}},
		"tab":               {replace("  address", "\taddress"), []string{":4: not valid YAML"}}, // The YAML reader knows no columns.
		"two in one file":   {replace("static:///", "static://") + "nope: 1\n", []string{":7:13 ", `:16:1 unknown field "nope"`}},
		"missing image":     {valid + "descriptors: {images: [nope.binpb]}\n", []string{"nope.binpb: no such file"}},
		"missing TLS file":  {replace("127.0.0.1:0", "127.0.0.1:0\n    tls: {certificates: [{certificate_file: nope.pem, private_key_file: nope.pem}]}"), []string{"nope.pem: no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeConfig(t, tc.text)
			code, stdout, stderr := run(t, "serve", "--config", path)
			if code != 1 || stdout != "" {
				t.Errorf("exit code %d, stdout %q", code, stdout)
			}
			for _, says := range tc.says {
				if strings.HasPrefix(says, ":") {
					says = path + says
				}
				if !strings.Contains(stderr, says) {
					t.Errorf("stderr does not say %q: %s", says, stderr)
				}
			}
		})
	}
}

func TestAddressInUseEndsServe(t *testing.T) {
	gw := serve(t, orderConfig("", "127.0.0.1:1"))
	taken := strings.Replace(orderConfig("", "127.0.0.1:1"), "127.0.0.1:0", gw.address, 1)
	code, _, stderr := run(t, "serve", "--config", writeConfig(t, taken))
	if code != 1 || !strings.Contains(stderr, gw.address) || !strings.Contains(stderr, "in use") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestCommandLine(t *testing.T) {
	for name, tc := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string // Regular expressions.
	}{
		"nonsense":       {[]string{"nonsense"}, 2, `^$`, `nonsense[^$]*Try: cardea --help`},
		"nothing":        {nil, 2, `^$`, `Try: cardea --help`},
		"unknown flag":   {[]string{"serve", "--nope"}, 2, `^$`, `--nope[^$]*Try: cardea --help`},
		"missing flag":   {[]string{"serve"}, 2, `^$`, `--config[^$]*Try: cardea --help`},
		"missing file":   {[]string{"serve", "--config", "nope.yaml"}, 1, `^$`, `nope\.yaml: no such file`},
		"help":           {[]string{"--help"}, 0, `(?s)demo.*serve.*routes`, `^$`},
		"help of a part": {[]string{"serve", "--help"}, 0, `--config=FILE`, `^$`},
		"version":        {[]string{"--version"}, 0, `^\S+\n$`, `^$`},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := run(t, tc.args...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if !regexp.MustCompile(tc.stdout).MatchString(stdout) {
				t.Errorf("stdout: %s", stdout)
			}
			if !regexp.MustCompile(tc.stderr).MatchString(stderr) {
				t.Errorf("stderr: %s", stderr)
			}
		})
	}
}

func TestRoutesPrintsATable(t *testing.T) {
	code, stdout, stderr := run(t, "routes", "--config", writeConfig(t, orderConfig("", "127.0.0.1:1")))
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	const service = "food.order.v1.OrderService/"
	want := [][]string{
		{"HTTP", "PATH", "GRPC METHOD", "BACKEND", "ACCESS", "REST"},
		{"POST", "/v1/orders", service + "CreateOrder", "order", "refused", "compiled"},
		{"GET", "/v1/{name=orders/*}", service + "GetOrder", "order", "public", "compiled"},
		{"GET", "/v1/orders", service + "ListOrders", "order", "refused", "compiled"},
		{"PATCH", "/v1/{order.name=orders/*}", service + "UpdateOrder", "order", "refused", "compiled"},
		{"POST", "/v1/{name=orders/*}:cancel", service + "CancelOrder", "order", "refused", "compiled"},
		{"GET", "/v1/{name=orders/*}:watch", service + "WatchOrder", "order", "refused", "compiled"},
	}
	routes, contracts, _ := strings.Cut(stdout, "\n\n")
	if diff := cmp.Diff(want, table(routes)); diff != "" {
		t.Error(diff)
	}
	if got := table(contracts); len(got) != 2 || got[1][0] != "food.order.v1.OrderService" || got[1][1] != "linked" || len(got[1][2]) != 12 {
		t.Errorf("contracts: %v", got)
	}
}

// table splits aligned text: columns are at least two spaces apart.
func table(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		rows = append(rows, regexp.MustCompile(`  +`).Split(strings.TrimSpace(line), -1))
	}
	return rows
}
