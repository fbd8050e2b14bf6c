package transcode

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Hot path: marks of what a message has had so far; up to 64 slots need no memory, and more take it off a stack.

// marks tells which slots of a message have been seen. The first 64 need no memory.
type marks struct {
	low        uint64
	high       []uint64
	extensions []protoreflect.FieldNumber
}

// mark returns empty marks for a message.
func (e *encoder) mark(m *message) marks {
	var s marks
	s.high, e.marks = highMarks(e.marks, m.slots)
	return s
}

func (e *encoder) unmark(m *message) { e.marks = e.marks[:len(e.marks)-highWords(m.slots)] }

func highWords(slots int) int { return max(0, (slots-1)/64) }

// highMarks takes memory for the slots beyond 64 off a stack.
func highMarks(stack []uint64, slots int) (high, rest []uint64) {
	n := highWords(slots)
	if n == 0 {
		return nil, stack
	}
	for range n {
		stack = append(stack, 0)
	}
	return stack[len(stack)-n:], stack
}

// add marks what a field fills on the wire, and reports whether it was marked before.
func (s *marks) add(f *field) bool { return s.addSlot(f.slot, f.number) }

func (s *marks) addSlot(slot int, extension protoreflect.FieldNumber) bool {
	if slot < 0 {
		return s.addExtension(extension)
	}
	word := &s.low
	if slot >= 64 {
		word = &s.high[slot/64-1]
	}
	bit := uint64(1) << (slot % 64)
	again := *word&bit != 0
	*word |= bit
	return again
}

func (s *marks) addExtension(number protoreflect.FieldNumber) bool {
	if slices.Contains(s.extensions, number) {
		return true
	}
	s.extensions = append(s.extensions, number)
	return false
}

func (s *marks) has(slot int) bool {
	if slot < 64 {
		return s.low&(1<<slot) != 0
	}
	return s.high[slot/64-1]&(1<<(slot%64)) != 0
}

// drop takes a mark back, unless others share it.
func (s *marks) drop(f *field) {
	if f.oneof != "" || f.slot < 0 {
		return
	}
	if f.slot < 64 {
		s.low &^= 1 << f.slot
		return
	}
	s.high[f.slot/64-1] &^= 1 << (f.slot % 64)
}
