package transcode

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// place is where a field is in a message.
type place struct {
	steps []*field // The messages on the way, each inside the one before; none for a field of the message itself.
	field *field
}

// place finds a field by its path, names with points between them, as they are in the .proto file or in JSON.
func (m *message) place(path string) (place, error) {
	var p place
	for at := m; ; at = p.field.message {
		name, rest, more := strings.Cut(path, ".")
		i, ok := at.names.find([]byte(name))
		if !ok {
			return place{}, fmt.Errorf("%s has no field %q", at.desc.FullName(), name)
		}
		p.field = &at.fields[i]
		if !more {
			return p, nil
		}
		if !p.field.leadsOn() {
			return place{}, fmt.Errorf("the field %q of %s is no single message, so nothing is below it", name, at.desc.FullName())
		}
		p.steps, path = append(p.steps, p.field), rest
	}
}

// isGroup reports whether the field is a group, which has no length before it.
func (f *field) isGroup() bool { return f.op == opGroup }

// leadsOn reports whether the field is one message, whose fields have paths of their own.
func (f *field) leadsOn() bool { return f.message != nil && f.shape == single }

// path returns the fields on the way, the last one included.
func (p place) path() []*field { return append(slices.Clip(p.steps), p.field) }

// key identifies a place among all places in a message: the tags of its path. No key is the beginning of another one,
// unless that is a place inside.
func (p place) key() []byte {
	var key []byte
	for _, f := range p.path() {
		key = append(key, f.tag...)
	}
	return key
}

// wanted is a field that a path variable fills, or a message with such a field inside.
type wanted struct {
	field *field
	inner []wanted // Nil for the field itself.
}

// addWanted adds a place to a tree. Inside a type with a JSON form of its own nothing can be told apart, so all of it counts
// as filled.
func addWanted(tree []wanted, p place) []wanted {
	first, leaf := p.field, true
	if len(p.steps) > 0 {
		first, leaf = p.steps[0], p.steps[0].message.custom()
	}
	i := 0
	for i < len(tree) && tree[i].field != first {
		i++
	}
	if i == len(tree) {
		tree = append(tree, wanted{field: first})
	} else if tree[i].inner == nil {
		return tree
	}
	if leaf {
		tree[i].inner = nil
		return tree
	}
	tree[i].inner = addWanted(tree[i].inner, place{p.steps[1:], p.field})
	return tree
}

// below returns the part of a tree that is inside a place.
func below(tree []wanted, p place) []wanted {
	for _, f := range p.path() {
		i := 0
		for i < len(tree) && tree[i].field != f {
			i++
		}
		if i == len(tree) {
			return nil
		}
		tree = tree[i].inner
	}
	return tree
}

// errRepeatedVariable and its kin say why a field cannot be where a rule wants it.
var (
	errRepeatedVariable = errors.New("a path variable can be neither a repeated field nor a map")
	errMessageVariable  = errors.New("a path variable must be a field with one value, not a message")
)

// oneofs returns the oneofs that whoever fills the place fills with it.
func (p place) oneofs() []filling {
	var q query
	q.fillOneofs(p.path(), "")
	return q.fillings
}

// variable makes sure that text in a path can be the value of the field.
func (p place) variable() error {
	switch {
	case p.field.shape != single:
		return errRepeatedVariable
	case p.field.message != nil && !p.field.message.isText():
		return errMessageVariable
	}
	return nil
}

// isText reports whether the JSON of the type is a string, a number or a bool.
func (m *message) isText() bool {
	switch m.known {
	case knownTimestamp, knownDuration, knownFieldMask, knownWrapper:
		return true
	default:
		return false
	}
}

// appendTags appends the tags and lengths that lead to content of the given size at a place.
func (p place) appendTags(dst []byte, size int) []byte {
	path := p.path()
	sizes := make([]int, len(path))
	for i := len(path) - 1; i >= 0; i-- {
		sizes[i] = size
		size += len(path[i].tag) + protowire.SizeVarint(uint64(size))
	}
	for i, f := range path {
		dst = protowire.AppendVarint(append(dst, f.tag...), uint64(sizes[i]))
	}
	return dst
}
