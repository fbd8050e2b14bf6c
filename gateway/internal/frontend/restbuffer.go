package frontend

import (
	"errors"
	"io"
	"slices"

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
