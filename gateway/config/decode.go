package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cardea-gateway/cardea/gateway/internal/nearest"
)

// decode fills a message from the tree, and notes where each field stands. It goes on behind what it refuses.
func (d *document) decode(m protoreflect.Message) { d.message(d.root, m, "") }

func (d *document) message(n *yaml.Node, m protoreflect.Message, path string) {
	desc := m.Descriptor()
	if n.Kind != yaml.MappingNode {
		d.wrongKind(n, path, "a mapping with some of the fields "+strings.Join(fieldNames(desc), ", "))
		return
	}
	seen, misspelled := map[string]*yaml.Node{}, []string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := fieldOf(desc, key)
		if field == nil {
			misspelled = append(misspelled, d.unknown(key, desc))
			continue
		}
		name := string(field.Name())
		if first := seen[name]; first != nil {
			d.problems.add(key, "%s stands twice, the first time on line %d; remove one", name, first.Line)
			continue
		}
		seen[name] = key
		if oneof := field.ContainingOneof(); oneof != nil && m.WhichOneof(oneof) != nil {
			d.problems.add(key, "%s and %s exclude each other; remove one", m.WhichOneof(oneof).Name(), name)
			continue
		}
		d.field(value, m, field, join(path, name))
	}
	for _, name := range misspelled {
		if name != "" && seen[name] == nil {
			d.refused[join(path, name)] = true // It does not also count as missing.
		}
	}
}

// fieldOf finds a field by its name or its JSON name.
func fieldOf(desc protoreflect.MessageDescriptor, key *yaml.Node) protoreflect.FieldDescriptor {
	if key.Kind != yaml.ScalarNode {
		return nil
	}
	if field := desc.Fields().ByName(protoreflect.Name(key.Value)); field != nil {
		return field
	}
	return desc.Fields().ByJSONName(key.Value)
}

// unknown refuses a key, and returns the field that was probably meant, if any.
func (d *document) unknown(key *yaml.Node, desc protoreflect.MessageDescriptor) string {
	if key.Kind != yaml.ScalarNode {
		d.problems.add(key, "%s as a key; a key is the name of a field", kindName(key))
		return ""
	}
	names := fieldNames(desc)
	d.problems.add(key, "unknown field %q, expected one of %s%s", key.Value, strings.Join(names, ", "), nearest.Hint(key.Value, names))
	return nearest.Name(key.Value, names)
}

func (d *document) field(n *yaml.Node, m protoreflect.Message, field protoreflect.FieldDescriptor, path string) {
	d.nodes[path] = n
	switch {
	case field.IsList():
		d.list(n, m, field, path)
	case field.Message() != nil && !isDuration(field):
		d.message(n, m.Mutable(field).Message(), path)
	default:
		if value := d.scalar(n, field, path); value.IsValid() {
			m.Set(field, value)
		}
	}
}

func (d *document) list(n *yaml.Node, m protoreflect.Message, field protoreflect.FieldDescriptor, path string) {
	if n.Kind != yaml.SequenceNode {
		d.wrongKind(n, path, "a list")
		return
	}
	values := m.Mutable(field).List()
	for i, item := range n.Content {
		itemPath := path + "[" + strconv.Itoa(i) + "]"
		d.nodes[itemPath] = item
		value := values.NewElement()
		if field.Message() != nil && !isDuration(field) {
			d.message(item, value.Message(), itemPath)
		} else if read := d.scalar(item, field, itemPath); read.IsValid() {
			value = read
		}
		values.Append(value) // Even one that was refused: those behind it keep their places.
	}
}

// scalar returns an invalid value if it has refused the one in the file.
func (d *document) scalar(n *yaml.Node, field protoreflect.FieldDescriptor, path string) (none protoreflect.Value) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		d.wrongKind(n, path, expected(field))
		return none
	}
	e, err := expand(n.Value)
	if err != nil {
		d.refuse(path, "%w", err)
		return none
	}
	what := strconv.Quote(n.Value)
	if len(e.names) > 0 {
		d.expansions[path], what = e, "the value of "+e.references()
	}
	value, ok := parse(field, e.value)
	if !ok {
		d.refuse(path, "must be %s, not %s%s", expected(field), what, guess(field, e.value))
		return none
	}
	return value
}

func (d *document) wrongKind(n *yaml.Node, path, want string) {
	if isNull(n) {
		d.refuse(path, "has no value: it must be %s (or leave the field out)", want)
		return
	}
	d.refuse(path, "must be %s, not %s", want, kindName(n))
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

func fieldNames(desc protoreflect.MessageDescriptor) []string {
	names := make([]string, desc.Fields().Len())
	for i := range names {
		names[i] = string(desc.Fields().Get(i).Name())
	}
	return names
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
