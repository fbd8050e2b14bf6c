package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Setting is one value of the configuration in force.
type Setting struct {
	// Path is where the schema has it, such as listeners[0].address.
	Path string
	// Value is what YAML writes for it. Text that holds something from the environment is shown as in the file.
	Value string
	// Origin is where it comes from: cardea.yaml:12, "cardea.yaml:12 ${PORT}", or default.
	Origin string
}

// Settings returns the values of the configuration, in the order of the schema: those of the file, and the defaults. File
// names are as they are written.
func (f *File) Settings() []Setting {
	var all []Setting
	collect(f.tree(), "", &all)
	return all
}

// YAML returns the configuration in force as text that [Parse] reads back to the same configuration, in the same folder
// and environment. A comment behind each value says its origin.
func (f *File) YAML() string { return encode(f.tree()) }

func collect(n *yaml.Node, path string, all *[]Setting) {
	switch {
	case len(n.Content) == 0:
		plain := *n
		plain.LineComment = ""
		*all = append(*all, Setting{path, strings.TrimSuffix(encode(&plain), "\n"), strings.TrimPrefix(n.LineComment, "# ")})
	case n.Kind == yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			collect(n.Content[i+1], join(path, n.Content[i].Value), all)
		}
	default:
		for i, item := range n.Content {
			collect(item, path+"["+strconv.Itoa(i)+"]", all)
		}
	}
}

func encode(n *yaml.Node) string {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	_ = encoder.Encode(n) // A tree of strings, into memory.
	_ = encoder.Close()
	return out.String()
}

// tree builds the configuration in force as YAML, the origin of each value as a comment behind it.
func (f *File) tree() *yaml.Node {
	return f.mapping("", f.written.ProtoReflect(), f.effective.ProtoReflect())
}

// mapping builds a message. The message as it was written tells defaults from what the file says.
func (f *File) mapping(path string, written, effective protoreflect.Message) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	fields := effective.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		at := join(path, string(field.Name()))
		if effective.Has(field) || f.doc.nodes[at] != nil {
			key := &yaml.Node{Kind: yaml.ScalarNode, Value: string(field.Name())}
			n.Content = append(n.Content, key, f.value(at, field, written, effective))
		}
	}
	if len(n.Content) == 0 {
		n.LineComment = "# " + f.origin(path, true)
	}
	return n
}

func (f *File) value(path string, field protoreflect.FieldDescriptor, written, effective protoreflect.Message) *yaml.Node {
	said := written.Has(field) || !effective.Has(field)
	switch {
	case field.IsList():
		return f.sequence(path, field, written.Get(field).List(), effective.Get(field).List())
	case field.Message() != nil && !isDuration(field):
		return f.mapping(path, written.Get(field).Message(), effective.Get(field).Message())
	default:
		return f.leaf(path, field, effective.Get(field), said)
	}
}

func (f *File) sequence(path string, field protoreflect.FieldDescriptor, written, effective protoreflect.List) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range effective.Len() {
		at := fmt.Sprintf("%s[%d]", path, i)
		if field.Message() != nil {
			n.Content = append(n.Content, f.mapping(at, written.Get(i).Message(), effective.Get(i).Message()))
		} else {
			n.Content = append(n.Content, f.leaf(at, field, effective.Get(i), true))
		}
	}
	if len(n.Content) == 0 {
		n.Style, n.LineComment = yaml.FlowStyle, "# "+f.origin(path, true)
	}
	return n
}

func (f *File) leaf(path string, field protoreflect.FieldDescriptor, value protoreflect.Value, said bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, LineComment: "# " + f.origin(path, said)}
	switch {
	case isDuration(field):
		d, _ := value.Message().Interface().(*durationpb.Duration)
		n.Value = FormatDuration(d.AsDuration())
	case field.Kind() == protoreflect.EnumKind:
		n.Value = string(field.Enum().Values().ByNumber(value.Enum()).Name())
	case field.Kind() == protoreflect.StringKind:
		n.Tag, n.Value = "!!str", f.text(path, value.String(), said)
		if strings.Contains(n.Value, "\n") {
			n.Style = yaml.DoubleQuotedStyle // On one line, as the comment behind it needs.
		}
	default:
		n.Value = value.String()
	}
	return n
}

// text returns a string as a file would have it. What came from the environment may be secret: there, the variable stays.
func (f *File) text(path, value string, said bool) string {
	if e := f.doc.expansions[path]; e != nil && said && len(e.taken) > 0 {
		return e.written
	}
	return strings.ReplaceAll(value, "$", "$$")
}

// origin says where a value comes from.
func (f *File) origin(path string, said bool) string {
	n := f.doc.nodes[path]
	if !said || n == nil {
		return "default"
	}
	origin := fmt.Sprintf("%s:%d", filepath.Base(f.doc.name), n.Line)
	if e := f.doc.expansions[path]; e != nil {
		origin += " " + e.references()
	}
	return origin
}
