package frontend

import (
	"errors"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc/mem"
)

// readAll appends what a reader has, to its end.
func readAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if cap(dst)-len(dst) < minRead {
			dst = slices.Grow(dst, max(minRead, len(dst))) // Twice as much as has arrived: announcing a body costs nothing.
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// minRead is the least room for a read.
const minRead = 512

// readChunksUpTo reads to the end, or until there are so many bytes, into buffers of the pool.
func readChunksUpTo(r io.Reader, limit int) (mem.BufferSlice, error) {
	var data mem.BufferSlice
	for limit > 0 {
		buf := mem.DefaultBufferPool().Get(min(limit, chunk))
		n, err := io.ReadFull(r, *buf)
		*buf = (*buf)[:n]
		data = append(data, mem.NewBuffer(buf, mem.DefaultBufferPool()))
		limit -= n
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			data.Free()
			return nil, err
		}
	}
	return data, nil
}

// wires are buffers that programs write messages into, and that are free again when grpc has sent them.
var wires wirePool

// wirePool is a pool of buffers of no particular size.
type wirePool struct{ pool sync.Pool }

var _ mem.BufferPool = (*wirePool)(nil)

// Get returns an empty buffer, with room for a message of about that length if it is a large one.
func (p *wirePool) Get(length int) *[]byte {
	if length <= maxKept {
		if buf, ok := p.pool.Get().(*[]byte); ok {
			return buf
		}
	}
	return new([]byte)
}

// Put takes a buffer back.
func (p *wirePool) Put(buf *[]byte) {
	if cap(*buf) <= maxKept {
		*buf = (*buf)[:0]
		p.pool.Put(buf)
	}
}
