package transcode

import "encoding/binary"

// table finds small numbers by name: fields of a message, values of an enum. It is filled when a type is compiled and
// only read afterwards, without allocation; names are the schema's, so nobody outside can make them collide.
type table struct {
	slots []tableSlot // A power of two, at most half full.
}

type tableSlot struct {
	name  string
	value int32
	used  bool
}

func newTable(names map[string]int32) table {
	size := 4
	for size < 2*len(names) {
		size *= 2
	}
	t := table{slots: make([]tableSlot, size)}
	for name, value := range names {
		i := t.start([]byte(name))
		for t.slots[i].used {
			i = (i + 1) & (len(t.slots) - 1)
		}
		t.slots[i] = tableSlot{name, value, true}
	}
	return t
}

// Hot path: find does not allocate; the conversion in the comparison copies nothing.
func (t *table) find(name []byte) (int32, bool) {
	mask := len(t.slots) - 1
	for i := t.start(name); ; i = (i + 1) & mask {
		s := &t.slots[i]
		if !s.used {
			return 0, false
		}
		if s.name == string(name) {
			return s.value, true
		}
	}
}

func (t *table) start(name []byte) int {
	const odd = 0x9e3779b97f4a7c15
	h := uint64(len(name)) * odd
	for len(name) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(name)) * odd
		h ^= h >> 32
		name = name[8:]
	}
	for _, c := range name {
		h = (h ^ uint64(c)) * odd
	}
	return int((h ^ h>>32) & uint64(len(t.slots)-1))
}
