package main

import (
	_ "embed"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

//go:embed introduction.md
var introduction string

// reference writes the reference for readers, as Markdown.
func reference(s *schema) string {
	var out strings.Builder
	out.WriteString(introduction)
	for _, m := range s.messages {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", m.desc.Name(), escape(m.comment))
		out.WriteString("\n| field | type | default | meaning |\n|---|---|---|---|\n")
		for _, f := range m.fields {
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.desc.Name(), typeName(f.desc), f.defaultText(), f.meaning())
		}
	}
	for _, e := range s.enums {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", e.Name(), escape(comment(e)))
		out.WriteString("\n| value | meaning |\n|---|---|\n")
		for i := 1; i < e.Values().Len(); i++ { // The first stands for the default.
			fmt.Fprintf(&out, "| `%s` | %s |\n", e.Values().Get(i).Name(), escape(comment(e.Values().Get(i))))
		}
	}
	return out.String()
}

func typeName(fd protoreflect.FieldDescriptor) string {
	name := singleTypeName(fd)
	if fd.IsList() {
		return "list of " + name
	}
	return name
}

func singleTypeName(fd protoreflect.FieldDescriptor) string {
	switch {
	case isDuration(fd):
		return "duration"
	case fd.Message() != nil:
		return link(fd.Message())
	case fd.Enum() != nil:
		return link(fd.Enum())
	case fd.Kind() == protoreflect.BoolKind:
		return "true or false"
	case fd.Kind() == protoreflect.Uint32Kind:
		return "number"
	default:
		return "text"
	}
}

func link(desc protoreflect.Descriptor) string {
	return fmt.Sprintf("[%s](#%s)", desc.Name(), strings.ToLower(string(desc.Name())))
}

func (f *field) defaultText() string {
	switch {
	case f.required:
		return "**required**"
	case f.fallback.value != nil:
		return fmt.Sprintf("`%v`", f.fallback.value)
	case f.desc.Kind() == protoreflect.BoolKind:
		return "`false`"
	case f.desc.Message() != nil:
		return "" // The comment says what its absence means.
	default:
		return escape(f.fallback.text)
	}
}

// meaning is the comment, and behind it the rules, since a comment does not repeat them.
func (f *field) meaning() string {
	parts := []string{escape(f.comment)}
	for _, rule := range f.constraints() {
		parts = append(parts, "*"+escape(strings.ToUpper(rule[:1])+rule[1:])+".*")
	}
	return strings.Join(parts, " ")
}

// escape keeps Markdown from reading anything into plain text.
func escape(text string) string {
	return strings.NewReplacer("*", `\*`, "|", `\|`, "<", `\<`, "[", `\[`).Replace(text)
}
