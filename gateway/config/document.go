package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// document is one YAML file: its text, its tree, and where each field of the configuration stands in it.
type document struct {
	name     string
	text     []byte
	root     *yaml.Node
	nodes    map[string]*yaml.Node // values by path, such as listeners[0].address; the root is ""
	problems problems
}

// readDocument reads the tree. What it refuses leaves nothing to go on with.
func readDocument(name string, data []byte) (*document, error) {
	doc := &document{name: name, nodes: map[string]*yaml.Node{}}
	doc.text = normalize(data)
	doc.problems = problems{name: name, lines: strings.Split(string(doc.text), "\n")}
	if err := doc.checkText(); err != nil {
		return nil, err
	}
	if err := doc.readTree(); err != nil {
		return nil, err
	}
	doc.checkAliases(doc.root)
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

func (d *document) readTree() error {
	decoder := yaml.NewDecoder(bytes.NewReader(d.text))
	var first, second yaml.Node
	err := decoder.Decode(&first)
	if err != nil && !errors.Is(err, io.EOF) {
		return d.syntaxError(err)
	}
	if err != nil || len(first.Content) != 1 || isNull(first.Content[0]) {
		return fmt.Errorf("%s: the configuration is empty; it needs at least listeners and backends", d.name)
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

// syntaxError turns "yaml: line 3: ..." into "name:3: ...".
func (d *document) syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, message, ok := strings.Cut(rest, ": "); ok {
			return fmt.Errorf("%s:%s: not valid YAML: %s", d.name, number, message)
		}
	}
	return fmt.Errorf("%s: not valid YAML: %s", d.name, text)
}

// checkAliases refuses aliases: the decoder does not follow them, and a file is easier to review without.
func (d *document) checkAliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		d.problems.add(n, "the alias *%s; aliases are not supported, write the value out", n.Value)
	}
	for _, c := range n.Content {
		d.checkAliases(c)
	}
}

// walk notes where each field stands, and refuses unknown fields and fields that stand twice.
func (d *document) walk(desc protoreflect.MessageDescriptor) { d.walkMessage(d.root, desc, "") }

func (d *document) walkMessage(n *yaml.Node, desc protoreflect.MessageDescriptor, path string) {
	if n.Kind != yaml.MappingNode {
		return // a wrong kind is for the decoder to report
	}
	if desc.FullName().Parent() == "google.protobuf" {
		d.walkAnything(n)
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			continue
		}
		field := fieldOf(desc, key.Value)
		if field == nil {
			d.problems.add(key, "unknown field %q, expected one of %s", key.Value, fieldNames(desc))
			continue
		}
		name := string(field.Name())
		d.once(seen, key, name)
		d.walkField(value, field, join(path, name))
	}
}

func (d *document) walkField(n *yaml.Node, field protoreflect.FieldDescriptor, path string) {
	d.nodes[path] = n
	switch {
	case field.IsMap():
		d.walkMap(n, field, path)
	case field.IsList() && n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			d.walkItem(item, field.Message(), path+"["+strconv.Itoa(i)+"]")
		}
	case !field.IsList():
		d.walkItem(n, field.Message(), path)
	}
}

func (d *document) walkMap(n *yaml.Node, field protoreflect.FieldDescriptor, path string) {
	if n.Kind != yaml.MappingNode {
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		d.once(seen, key, key.Value)
		d.walkItem(n.Content[i+1], field.MapValue().Message(), path+"["+strconv.Quote(key.Value)+"]")
	}
}

// walkItem notes a single value; desc is nil if it is not a message.
func (d *document) walkItem(n *yaml.Node, desc protoreflect.MessageDescriptor, path string) {
	d.nodes[path] = n
	if desc != nil {
		d.walkMessage(n, desc, path)
	}
}

// walkAnything looks for duplicate keys where the schema does not say what the keys are.
func (d *document) walkAnything(n *yaml.Node) {
	seen := map[string]*yaml.Node{}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			d.once(seen, c, c.Value)
		}
		d.walkAnything(c)
	}
}

// once refuses a key that was seen before.
func (d *document) once(seen map[string]*yaml.Node, key *yaml.Node, name string) {
	if first := seen[name]; first != nil {
		d.problems.add(key, "%s stands twice, the first time on line %d; remove one", name, first.Line)
		return
	}
	seen[name] = key
}

// fieldOf finds a field by its name or its JSON name.
func fieldOf(desc protoreflect.MessageDescriptor, key string) protoreflect.FieldDescriptor {
	if field := desc.Fields().ByName(protoreflect.Name(key)); field != nil {
		return field
	}
	return desc.Fields().ByJSONName(key)
}

func fieldNames(desc protoreflect.MessageDescriptor) string {
	names := make([]string, desc.Fields().Len())
	for i := range names {
		names[i] = string(desc.Fields().Get(i).Name())
	}
	return strings.Join(names, ", ")
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// node returns the value at a path, or the nearest one that encloses it if the path was left out.
func (d *document) node(path string) *yaml.Node {
	for {
		if n := d.nodes[path]; n != nil {
			return n
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// where says where a value stands, for a message about another one.
func (d *document) where(path string) string {
	if n := d.nodes[path]; n != nil {
		return "line " + strconv.Itoa(n.Line)
	}
	return "the default"
}

// refuse reports a problem with the value at a path.
func (d *document) refuse(path, format string, args ...any) {
	problem := fmt.Errorf(format, args...)
	if d.root == nil { // Built in code, not read from a file.
		d.problems.found = append(d.problems.found, At(path, problem))
		return
	}
	d.problems.add(d.node(path), "%s: %w", path, problem)
}
