package gateway_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// direction says which packages of the module each package may import: a package
// that is not listed here fails the test, so does an import that is not listed. It is a decision of design, not a cache
// of the present state: think before you add a line.
//
// Names are relative to the module; gen/... stands for generated code.
const direction = `
policies/call                 -
policies/call/calltest        policies/call
policies/auth                 policies/call gen/...
internal/pace                 -
internal/atomicfile           -
discovery                     internal/...
discovery/static              -
discovery/consul              discovery internal/...
discovery/dns                 discovery
discovery/file                discovery
discovery/balancer/weighted   discovery
discovery/balancer/instances  discovery internal/...
discovery/balancer/internal/pipetest -
gateway/internal/route        -
gateway/internal/schema       gateway/internal/route gateway/internal/nearest gen/...
gateway/internal/reflection   internal/atomicfile policies/call
gateway/internal/pemfile      -
gateway/internal/pemfile/pemtest -
gateway/internal/guard        -
gateway/internal/listen       gateway/internal/guard gateway/internal/pemfile gen/...
gateway/internal/upstream     policies/call discovery/... gateway/internal/pemfile gen/...
gateway/internal/proxy        policies/call gateway/internal/upstream
gateway/internal/chain        policies/call
gateway/internal/frontend     policies/call gateway/internal/route gateway/internal/transcode gen/...
gateway/internal/telemetry    policies/call gateway/internal/frontend
gateway/internal/nearest      -
gateway/config                discovery/... gateway/internal/nearest gen/...
gateway/internal/transcode    -
gateway/internal/transcode/conformance -
gateway/admin                 -
gateway                       internal/... policies/... discovery/... gateway/... gen/...
cmd/cardea                    gateway gateway/config examples/... gen/...
examples/embed                gateway gateway/config gen/...
examples/food                 examples/food/...
examples/food/...             examples/food/... gen/...
examples/food/internal/...    examples/food/internal/... examples/food/store gen/...
examples/food/cluster         examples/food
tools/configdoc               gateway/config gen/...
gen/...                       gen/...
`

// forbidden says what packages must never need, their dependencies included, with the reason.
var forbidden = []struct{ from, to, why string }{
	{"gateway/internal/route", "google.golang.org/protobuf", "routes know no protobuf"},
	{"gateway/internal/schema", "google.golang.org/grpc", "contracts know no calls"},
	{"gateway/internal/guard", "google.golang.org", "framing knows no contracts and no calls"},
	{"gateway/internal/upstream", "github.com/grpc-ecosystem/grpc-gateway", "backends know no REST"},
	{"gateway/internal/transcode", "net/http", "messages know no protocol"},
	{"gateway/internal/transcode", "google.golang.org/grpc", "messages know no calls"},
	{"policies/call", "net/http", "policies know no HTTP"},
	{"gateway", "google.golang.org/grpc/xds", "it adds 16 MB to every binary"},
}

const module = "github.com/cardea-gateway/cardea/"

type goPackage struct {
	ImportPath    string
	Imports, Deps []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// rule returns the line that speaks of a package: its own, or the longest that ends in /... and covers it.
func rule(name string) (allowed []string, ok bool) {
	longest := -1
	for line := range strings.Lines(direction) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !covers(fields[0], name) || len(fields[0]) <= longest {
			continue
		}
		longest, allowed, ok = len(fields[0]), fields[1:], true
	}
	return allowed, ok
}

func covers(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(name+"/", prefix)
	}
	return pattern == name
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, ok := rule(name)
		if !ok {
			t.Errorf("%s stands in no line of the direction: decide what it may import", name)
		}
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours && !anyCovers(allowed, to) {
				t.Errorf("%s imports %s, which its line does not allow", name, to)
			}
		}
		for _, f := range forbidden {
			if f.from != name {
				continue
			}
			for _, dep := range p.Deps {
				if covers(f.to+"/...", dep) || dep == f.to {
					t.Errorf("%s needs %s: %s", name, dep, f.why)
				}
			}
		}
	}
}

func anyCovers(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if covers(pattern, name) {
			return true
		}
	}
	return false
}
