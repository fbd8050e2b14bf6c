package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// print writes the tables.
func (r *results) print(out io.Writer) {
	r.counts(out, "By the specifications", func(choice string) bool { return choice == "" })
	r.counts(out, "Where they leave it open, and Cardea had to choose", func(choice string) bool { return choice != "" })
	r.differences(out)
	for _, crash := range r.crashes {
		fmt.Fprintf(out, "%s does not survive `%s` (%s: %s).\n\n", crash.peer, code(crash.c.Request), crash.c.Topic(), crash.c.Name)
	}
}

// counts writes how many cases of each topic pass.
func (r *results) counts(out io.Writer, title string, counted func(choice string) bool) {
	fmt.Fprintf(out, "### %s\n\n| topic | cases | %s |\n", title, strings.Join(r.peers, " | "))
	fmt.Fprintf(out, "|---|---:|%s\n", strings.Repeat("---:|", len(r.peers)))
	var total tally
	for i := 0; i < len(r.cases); {
		t := tally{topic: r.cases[i].Topic()}
		for ; i < len(r.cases) && r.cases[i].Topic() == t.topic; i++ {
			if counted(r.cases[i].Choice()) {
				t.add(r, i)
			}
		}
		if t.cases > 0 {
			t.print(out)
			total.merge(t)
		}
	}
	total.topic = "**all**"
	total.print(out)
	fmt.Fprintln(out)
}

// tally is a row of the table.
type tally struct {
	topic  string
	cases  int
	passed []int
}

func (t *tally) add(r *results, i int) {
	one := tally{cases: 1, passed: make([]int, len(r.peers))}
	for p := range r.peers {
		if len(r.problems[p][i]) == 0 {
			one.passed[p] = 1
		}
	}
	t.merge(one)
}

func (t *tally) merge(other tally) {
	if t.passed == nil {
		t.passed = make([]int, len(other.passed))
	}
	t.cases += other.cases
	for p := range other.passed {
		t.passed[p] += other.passed[p]
	}
}

func (t *tally) print(out io.Writer) {
	fmt.Fprintf(out, "| %s | %d |", t.topic, t.cases)
	for _, n := range t.passed {
		fmt.Fprintf(out, " %d |", n)
	}
	fmt.Fprintln(out)
}

// differences lists the cases that two or more peers don't pass, below the sentence that Cardea goes by.
func (r *results) differences(out io.Writer) {
	fmt.Fprintf(out, "### Where two or more differ from Cardea\n")
	last := ""
	for i, c := range r.cases {
		var failing []string
		for p, name := range r.peers[1:] {
			if len(r.problems[p+1][i]) > 0 {
				failing = append(failing, name)
			}
		}
		if len(failing) < 2 {
			continue
		}
		if sentence := heading(c.Spec(), c.From(), c.Choice()); sentence != last {
			fmt.Fprintf(out, "\n%s\n\n", sentence)
			last = sentence
		}
		fmt.Fprintf(out, "- `%s`, %s: not %s\n", code(c.Request), c.Name, strings.Join(failing, ", "))
	}
	fmt.Fprintln(out)
}

func heading(spec, from, choice string) string {
	text := fmt.Sprintf("> %s (%s)", spec, from)
	if choice != "" {
		text += "\n>\n> Our choice: " + choice
	}
	return text
}

// code makes a request fit between backticks.
func code(text string) string { return strings.ReplaceAll(text, "`", "%60") }

// The marks between which the tables stand.
const (
	begin = "<!-- Written by test/httprule/peers. -->\n"
	end   = "<!-- Until here. -->\n"
)

// replaceSection replaces what stands between the marks of a page.
func replaceSection(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no marks to write between", path)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+text+end+after), 0o644)
}
