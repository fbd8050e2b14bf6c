package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document is one YAML file: its text, its tree, and where each field of the configuration stands in it. Paths are such as
// listeners[0].address; that of the root is "". The document of a configuration that was built in code has no tree.
type document struct {
	name       string
	text       []byte
	root       *yaml.Node
	nodes      map[string]*yaml.Node // Values by path.
	expansions map[string]*expansion // Values that refer to the environment, by path.
	refused    map[string]bool       // Paths whose value was refused: what else is wrong there follows from it.
	conceal    *strings.Replacer     // Takes the environment out of messages; nil as long as values are being read.
	problems   problems
}

func newDocument(name string) *document {
	return &document{
		name: name, nodes: map[string]*yaml.Node{}, expansions: map[string]*expansion{}, refused: map[string]bool{},
		problems: problems{name: name},
	}
}

// readDocument reads the tree. What it refuses leaves nothing to go on with. A file without content lacks what it needs.
func readDocument(name string, data []byte, needs string) (*document, error) {
	doc := newDocument(name)
	doc.text = normalize(data)
	doc.problems.lines = strings.Split(string(doc.text), "\n")
	if err := doc.checkText(); err != nil {
		return nil, err
	}
	if err := doc.readTree(needs); err != nil {
		return nil, err
	}
	doc.checkPlain(doc.root)
	doc.nodes[""] = doc.root
	return doc, doc.problems.err()
}

// normalize removes the byte order mark and gives every line the same end, so that lines are counted alike everywhere.
func normalize(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
}

// checkText refuses what the YAML reader would take for another encoding or for the end of a line.
func (d *document) checkText() error {
	for i, line := range d.problems.lines {
		if !utf8.ValidString(line) {
			return fmt.Errorf("%s:%d: not valid UTF-8; save the file as UTF-8", d.name, i+1)
		}
		if strings.ContainsAny(line, "\u0085\u2028\u2029") {
			return fmt.Errorf("%s:%d: an invisible Unicode line separator (U+0085, U+2028 or U+2029); remove it", d.name, i+1)
		}
	}
	return nil
}

func (d *document) readTree(needs string) error {
	decoder := yaml.NewDecoder(bytes.NewReader(d.text))
	var first, second yaml.Node
	err := decoder.Decode(&first)
	if err != nil && !errors.Is(err, io.EOF) {
		return d.syntaxError(err)
	}
	if err != nil || len(first.Content) != 1 || isNull(first.Content[0]) {
		return fmt.Errorf("%s: the configuration is empty; it needs at least %s", d.name, needs)
	}
	d.root = first.Content[0]
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return d.syntaxError(err)
	}
	return d.problems.at(second.Line, second.Column, errors.New("a second document; a configuration is one document, remove the ---"))
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// syntaxError turns "yaml: line 3: ..." into "name:3: ...", and shows the line. The reader counts lines from 0 where its
// grammar is broken, and from 1 where single characters are; a line 0 it does not mention.
func (d *document) syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, message, ok := strings.Cut(rest, ": "); ok {
			line, _ = strconv.Atoi(number)
			text = message
		}
	}
	if strings.HasPrefix(text, "did not find expected") {
		line++
	}
	if line < 1 || line > len(d.problems.lines) {
		return fmt.Errorf("%s: not valid YAML: %s", d.name, text)
	}
	shown := d.problems.lines[line-1]
	placed := fmt.Errorf("%s:%d: not valid YAML: %s%s", d.name, line, text, syntaxHint(shown))
	if shown == "" {
		return placed
	}
	return fmt.Errorf("%w\n%4d | %s", placed, line, shown)
}

// flowVariable finds a variable behind the bracket of a flow mapping or list.
var flowVariable = regexp.MustCompile(`(^|[^$])[{\[].*\$\{`)

// syntaxHint knows two mistakes that the reader does not name.
func syntaxHint(line string) string {
	indentation := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indentation, "\t"):
		return "; indent with spaces, not with tabs"
	case flowVariable.MatchString(line):
		return "; within {...} and [...], put quotes around what holds ${...}"
	}
	return ""
}

// checkPlain refuses aliases and tags: a file is easier to review without, and the schema says what each value is.
func (d *document) checkPlain(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		d.problems.add(n, "the alias *%s; aliases are not supported, write the value out", n.Value)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.problems.add(n, "the tag %s; tags are not supported, remove it", n.Tag)
	}
	for _, c := range n.Content {
		d.checkPlain(c)
	}
}

// node returns the value at a path, or the nearest one that encloses it if the path was left out.
func (d *document) node(path string) *yaml.Node {
	for {
		if n := d.nodes[path]; n != nil {
			return n
		}
		path = parent(path)
	}
}

// parent returns the path of what encloses a value.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// where says where a value stands, for a message about another one: " (line 3)". There is nothing to say of a configuration
// that was built in code.
func (d *document) where(path string) string {
	n := d.nodes[path]
	switch {
	case d.root == nil:
		return ""
	case n == nil:
		return " (the default)"
	}
	return " (line " + strconv.Itoa(n.Line) + ")"
}

// refuse reports a problem with the value at a path, unless the value, or one that encloses it, was refused before.
func (d *document) refuse(path, format string, args ...any) {
	for at := path; ; at = parent(at) {
		if d.refused[at] {
			return
		}
		if at == "" {
			break
		}
	}
	d.refused[path] = true
	for i, arg := range args {
		args[i] = d.hide(arg)
	}
	d.report(path, fmt.Errorf(format, args...))
}

// report adds a problem with the value at a path.
func (d *document) report(path string, problem error) {
	switch {
	case d.root == nil:
		d.problems.addPlain(At(path, problem))
	case path == "":
		d.problems.add(d.root, "%w", problem)
	default:
		d.problems.add(d.node(path), "%s: %w", path, problem)
	}
}

// hide takes what came from the environment out of a text or an error.
func (d *document) hide(arg any) any {
	if d.conceal == nil {
		return arg
	}
	switch arg := arg.(type) {
	case string:
		return d.conceal.Replace(arg)
	case error:
		return &concealed{d.conceal.Replace(arg.Error()), arg}
	}
	return arg
}
