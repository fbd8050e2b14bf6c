package frontend

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/policies/call"
)

// A message on the wire is a byte that says whether it is compressed, its length in four bytes, and that many bytes
// (gRPC over HTTP/2, "Length-Prefixed-Message").
const (
	prefixLength = 5
	compressed   = 1
)

// chunk is how much is reserved at a time for a message that is announced but not here yet: a client that only
// announces 4 MiB on each of its streams ties up this much for each of them.
const chunk = 32 << 10

// frames reads messages off a request's body.
type frames struct {
	body   io.Reader
	gzip   bool // The client announced grpc-encoding: gzip.
	limit  int  // Largest message, after decompression, in bytes.
	prefix [prefixLength]byte
	ended  bool // After the only message of a call.
	more   bool // Something came after it.
}

// next reads a message. It returns io.EOF at the regular end, and a status otherwise.
func (f *frames) next() (mem.BufferSlice, error) {
	data, err := f.read()
	if err != nil {
		return nil, err
	}
	return f.open(data)
}

// only reads the message of a call that has just one. It is not opened before the client has ended its side: a few
// compressed bytes must not hold megabytes for as long as their sender likes. After that it returns io.EOF, or an empty
// message if there was more than one.
func (f *frames) only() (mem.BufferSlice, error) {
	if f.ended {
		if f.more {
			return nil, nil
		}
		return nil, io.EOF
	}
	data, err := f.read()
	if err != nil {
		return nil, err
	}
	zipped := f.prefix[0]
	_, err = io.ReadFull(f.body, f.prefix[:1])
	f.prefix[0] = zipped
	if err != nil && !errors.Is(err, io.EOF) {
		data.Free()
		return nil, readError(err)
	}
	f.ended, f.more = true, err == nil
	return f.open(data)
}

// read reads a message as it is on the wire; the prefix says whether it is compressed.
func (f *frames) read() (mem.BufferSlice, error) {
	if _, err := io.ReadFull(f.body, f.prefix[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, readError(err)
	}
	n := binary.BigEndian.Uint32(f.prefix[1:])
	if uint64(n) > uint64(f.limit) {
		return nil, tooLarge(f.limit)
	}
	data, err := readChunks(f.body, int(n))
	if err != nil {
		return nil, readError(err)
	}
	return data, nil
}

// open returns the message that the wire bytes stand for, whose reference it takes over.
func (f *frames) open(data mem.BufferSlice) (mem.BufferSlice, error) {
	switch f.prefix[0] {
	case 0:
		return data, nil
	case compressed:
		return f.inflate(data)
	}
	data.Free()
	return nil, call.Refuse(codes.Internal, "MALFORMED_FRAME", "the message's first byte must be 0 or 1")
}

// readChunks reads n bytes into buffers of the pool, reserving no more than has nearly arrived.
func readChunks(r io.Reader, n int) (mem.BufferSlice, error) {
	var data mem.BufferSlice
	for n > 0 {
		buf := mem.DefaultBufferPool().Get(min(n, chunk))
		if _, err := io.ReadFull(r, *buf); err != nil {
			mem.DefaultBufferPool().Put(buf)
			data.Free()
			if errors.Is(err, io.EOF) { // Inside a message every end is a surprise.
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		n -= len(*buf)
		data = append(data, mem.NewBuffer(buf, mem.DefaultBufferPool()))
	}
	return data, nil
}

var gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}

// inflate replaces compressed bytes by what they stand for, which may be no larger than the limit.
func (f *frames) inflate(data mem.BufferSlice) (mem.BufferSlice, error) {
	defer data.Free()
	if !f.gzip {
		return nil, call.Refuse(codes.Internal, "MALFORMED_FRAME",
			"the message is marked as compressed, but the header grpc-encoding names no compression")
	}
	source := data.Reader()
	defer func() { _ = source.Close() }() // Frees what was not read; it can't fail.
	z, _ := gzipReaders.Get().(*gzip.Reader)
	defer gzipReaders.Put(z)
	if err := z.Reset(source); err != nil {
		return nil, call.Refuse(codes.Internal, "MALFORMED_FRAME", "the compressed message is not valid gzip")
	}
	plain, err := mem.ReadAll(io.LimitReader(z, int64(f.limit)+1), mem.DefaultBufferPool())
	switch {
	case err != nil:
		plain.Free()
		return nil, call.Refuse(codes.Internal, "MALFORMED_FRAME", "the compressed message is not valid gzip")
	case plain.Len() > f.limit:
		plain.Free()
		return nil, tooLarge(f.limit)
	}
	return plain, nil
}

var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }}

// worthCompressing is the size below which gzip makes a message larger more often than smaller.
const worthCompressing = 256

// writeFrame writes one message; it leaves the reference with the caller.
func writeFrame(w io.Writer, data mem.BufferSlice, zip bool) error {
	if zip && data.Len() >= worthCompressing {
		return writeCompressed(w, data)
	}
	var prefix [prefixLength]byte
	binary.BigEndian.PutUint32(prefix[1:], uint32(data.Len()))
	if _, err := w.Write(prefix[:]); err != nil {
		return err
	}
	for _, buf := range data {
		if _, err := w.Write(buf.ReadOnlyData()); err != nil {
			return err
		}
	}
	return nil
}

func writeCompressed(w io.Writer, data mem.BufferSlice) error {
	var out bytes.Buffer
	out.Write([]byte{compressed, 0, 0, 0, 0})
	z, _ := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(z)
	z.Reset(&out)
	for _, buf := range data {
		if _, err := z.Write(buf.ReadOnlyData()); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(out.Bytes()[1:], uint32(out.Len()-prefixLength))
	_, err := w.Write(out.Bytes())
	return err
}

func tooLarge(limit int) error {
	return call.Refuse(codes.ResourceExhausted, reasonTooLarge,
		fmt.Sprintf("the message is larger than the limit of %d bytes", limit))
}

const reasonTooLarge = "MESSAGE_TOO_LARGE"

// readError says why a request's body could not be read.
func readError(err error) error {
	switch {
	case errors.Is(err, errBodyTimeout):
		return errBodyTimeout
	case errors.Is(err, io.ErrUnexpectedEOF):
		return call.Refuse(codes.Internal, "MALFORMED_FRAME", "the request's body ended inside a message")
	}
	return status.Error(codes.Canceled, "the client canceled the call")
}
