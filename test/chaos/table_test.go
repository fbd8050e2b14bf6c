package chaos

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of results into README.md")

// Between these lines README.md holds the table.
const (
	tableBegins = "<!-- The table is written by: go test ./chaos -update -->\n"
	tableEnds   = "<!-- End of the table. -->\n"
)

// row is a fault with what it has cost.
type row struct {
	fault string
	result
}

type table []row

// String is the table as Markdown.
func (rows table) String() string {
	var s strings.Builder
	s.WriteString("| fault | calls | errors | slowest call | time to recover |\n| --- | ---: | ---: | ---: | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&s, "| %s | %d | %d | %s | %s |\n", r.fault, r.calls, r.errors, rounded(r.slowest), r.recovery)
	}
	return s.String()
}

// report prints the table, and writes it if that is wanted and it is whole.
func (rows table) report(t *testing.T) {
	t.Helper()
	fmt.Printf("\n%s\n", rows)
	switch {
	case !*update:
	case t.Failed() || testing.Short() || len(rows) != len(scenarios):
		t.Error("README.md stays as it is: the table is that of a whole run without a failure, and without -short")
	default:
		rows.write(t)
	}
}

func (rows table) write(t *testing.T) {
	t.Helper()
	const path = "README.md"
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(old), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s has lost one of the lines %q and %q: put them back", path, tableBegins, tableEnds)
	}
	measured := fmt.Sprintf("\nMeasured on %s/%s with %d CPUs, which gateway, agent, instances and clients share.\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	text := before + tableBegins + measured + rows.String() + "\n" + tableEnds + after
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
