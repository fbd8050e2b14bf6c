package transcode

import (
	"encoding/binary"
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hot path: the wire format. The short forms, which are nearly all there are, are read here; the others by protowire,
// whose rules hold. Lengths are negative where the input is broken.

// errBroken stands for input that is no wire format, until someone adds where.
var errBroken = errors.New("transcode: broken wire format")

func consumeVarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return protowire.ConsumeVarint(b)
}

func consumeTag(b []byte) (num protowire.Number, typ protowire.Type, n int) {
	if len(b) > 0 && b[0] < 0x80 && b[0] >= 8 {
		return protowire.Number(b[0] >> 3), protowire.Type(b[0] & 7), 1
	}
	return consumeLongTag(b)
}

func consumeLongTag(b []byte) (num protowire.Number, typ protowire.Type, n int) {
	num, typ, n = protowire.ConsumeTag(b)
	if num > protowire.MaxValidNumber {
		return 0, 0, -1
	}
	return num, typ, n
}

// consumeBytes returns a length-delimited value, its capacity not cut off.
func consumeBytes(b []byte) (raw []byte, n int) {
	size, n := consumeVarint(b)
	if n < 0 || size > uint64(len(b)-n) {
		return nil, -1
	}
	end := n + int(size)
	return b[n:end], end
}

// skipField returns what stands behind a field, nil if that is broken.
func skipField(b []byte, num protowire.Number, typ protowire.Type, tag int) []byte {
	n := protowire.ConsumeFieldValue(num, typ, b[tag:])
	if n < 0 {
		return nil
	}
	return b[tag+n:]
}

// appendNumber appends a number, as read returns it, in the wire type of the field.
func appendNumber(dst []byte, f *field, v uint64) []byte {
	switch f.op {
	case opSint32, opSint64:
		return protowire.AppendVarint(dst, protowire.EncodeZigZag(int64(v)))
	case opFixed32, opSfixed32, opFloat:
		return binary.LittleEndian.AppendUint32(dst, uint32(v&math.MaxUint32))
	case opFixed64, opSfixed64, opDouble:
		return binary.LittleEndian.AppendUint64(dst, v)
	default:
		return protowire.AppendVarint(dst, v)
	}
}
