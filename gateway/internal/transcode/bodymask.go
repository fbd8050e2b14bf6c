package transcode

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// maskOf appends a field mask of what a body sets, in the order of the alphabet. Paths end at what has no fields of its own
// or is repeated (google/protobuf/field_mask.proto), and at messages without members. A field that is null is in the mask:
// the client wants it cleared.
func (d *decoder) maskOf(r *Request, body []byte) error {
	d.scanner = scanner{in: body, maxNumber: d.maxNumber, types: d.types[:0]}
	d.masked = 0
	paths, err := d.paths(nil, "", r.body.field.message, r.wanted)
	if err != nil {
		return err
	}
	slices.Sort(paths)
	d.out = append(d.out, r.mask.tag...)
	at := d.nest()
	for _, path := range paths {
		d.out = append(d.out, 1<<3|byte(protowire.BytesType))
		d.appendText([]byte(path))
	}
	d.close(at)
	return nil
}

// paths adds the paths that the object at the position sets. It was read before, so it is in order.
func (d *decoder) paths(paths []string, prefix string, m *message, elsewhere []wanted) ([]string, error) {
	if d.peek() != '{' {
		return paths, d.literal("null")
	}
	d.pos++
	for n := 0; ; n++ {
		more, err := d.next(n, '}')
		if !more || err != nil {
			return paths, err
		}
		name, err := d.name()
		if err != nil {
			return paths, err
		}
		i, ok := m.names.find(name)
		if err := d.colon(); err != nil {
			return paths, err
		}
		if ok {
			paths, err = d.pathsOf(paths, prefix, m, &m.fields[i], elsewhere)
		} else {
			err = d.skip(d.c.limits.MaxDepth)
		}
		if err != nil {
			return paths, err
		}
	}
}

// maxMask bounds a mask that is made of a body. Each of its paths repeats the names on the way, so in messages that nest
// it may be many times as large as the body.
const maxMask = 1 << 20

// pathsOf adds the paths that the value of a field sets.
func (d *decoder) pathsOf(paths []string, prefix string, m *message, f *field, elsewhere []wanted) ([]string, error) {
	var inside []wanted
	if i := slices.IndexFunc(elsewhere, func(w wanted) bool { return w.field == f }); i >= 0 {
		if inside = elsewhere[i].inner; inside == nil {
			return paths, d.skip(d.c.limits.MaxDepth)
		}
	}
	if d.masked > maxMask {
		return paths, fault(Limit, d.pos, "the fields that the body sets make a field mask of more than %d bytes: send one", maxMask)
	}
	path := prefix + string(m.desc.Fields().Get(f.index).Name())
	if f.leadsOn() && !f.message.custom() && d.atMembers() {
		return d.paths(paths, path+".", f.message, inside)
	}
	d.masked += len(path)
	return append(paths, path), d.skip(d.c.limits.MaxDepth)
}

// atMembers reports whether an object stands at the position that is not empty.
func (d *decoder) atMembers() bool {
	if d.peek() != '{' {
		return false
	}
	inside := scanner{in: d.in, pos: d.pos + 1}
	return inside.peek() != '}'
}
