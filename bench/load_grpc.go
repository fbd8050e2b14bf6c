package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// gRPC calls: connections, and streams at a time on each.
const (
	grpcConns   = 8
	grpcStreams = 16
)

// Flow control never stops an answer: a stream may send window bytes, a connection twice to three times as many until it
// gets more. Requests stay far below the windows that every server starts with.
const window = 1 << 20

// prefix is what stands before a gRPC message: a flag and four bytes of length.
const prefix = 5

// grpcLoad speaks HTTP/2 by itself, a goroutine for each connection: the core that it shares with the backend must not be
// the bottleneck.
type grpcLoad struct{ conns []*grpcConn }

func dialGRPC(ctx context.Context, address string) (*grpcLoad, error) {
	l := &grpcLoad{}
	for range grpcConns {
		conn, err := newGRPCConn(ctx, address)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, conn)
	}
	return l, nil
}

func (l *grpcLoad) close() {
	for _, conn := range l.conns {
		conn.Close()
	}
}

func (l *grpcLoad) workers(s scenario, v *verifier) ([]worker, error) {
	message, err := proto.Marshal(s.request)
	if err != nil {
		return nil, err
	}
	request := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	request = append(request, message...)
	workers := make([]worker, len(l.conns))
	for i, conn := range l.conns {
		workers[i] = func(ctx context.Context, claim func() bool) error { return conn.work(ctx, claim, s.grpc, request, v) }
	}
	return workers, nil
}

// grpcConn is one connection.
type grpcConn struct {
	net.Conn

	in      *bufio.Reader
	out     *bufio.Writer
	framer  *http2.Framer
	header  bytes.Buffer // What headers wrote.
	headers *hpack.Encoder
	next    uint32                   // Stream.
	open    map[uint32]*bytes.Buffer // What came, by stream.
	idle    []*bytes.Buffer          // For reuse.
	unacked int                      // Bytes to give back to the connection's window.
}

func newGRPCConn(ctx context.Context, address string) (*grpcConn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &grpcConn{
		Conn: conn, in: bufio.NewReaderSize(conn, 64<<10), out: bufio.NewWriterSize(conn, 64<<10),
		next: 1, open: map[uint32]*bytes.Buffer{},
	}
	c.headers = hpack.NewEncoder(&c.header)
	c.framer = http2.NewFramer(c.out, c.in)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.SetReuseFrames()
	return c, c.greet()
}

func (c *grpcConn) greet() error {
	_, err := c.out.WriteString(http2.ClientPreface)
	return errors.Join(err,
		c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}),
		c.framer.WriteWindowUpdate(0, 2*window), c.out.Flush())
}

// work keeps as many streams open as there may be, until there is nothing more to claim and all have ended.
func (c *grpcConn) work(ctx context.Context, claim func() bool, method string, request []byte, v *verifier) error {
	defer bound(ctx, c)()
	for len(c.open) < grpcStreams && claim() {
		if err := c.send(method, request); err != nil {
			return err
		}
	}
	for len(c.open) > 0 {
		ended, err := c.receive(v)
		if err != nil {
			return err
		}
		if ended && claim() {
			if err := c.send(method, request); err != nil {
				return err
			}
		}
	}
	return c.out.Flush()
}

// send begins a call.
func (c *grpcConn) send(method string, request []byte) error {
	id := c.next
	c.next += 2
	c.open[id] = c.buffer()
	return errors.Join(
		c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block(method), EndHeaders: true}),
		c.framer.WriteData(id, true, request))
}

// block encodes the headers of a call.
func (c *grpcConn) block(method string) []byte {
	c.header.Reset()
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: "bench"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "user-agent", Value: "bench"},
		{Name: "te", Value: "trailers"},
	} {
		_ = c.headers.WriteField(field) // A buffer takes everything.
	}
	return c.header.Bytes()
}

func (c *grpcConn) buffer() *bytes.Buffer {
	last := len(c.idle) - 1
	if last < 0 {
		return new(bytes.Buffer)
	}
	buffer := c.idle[last]
	c.idle = c.idle[:last]
	buffer.Reset()
	return buffer
}

// receive reads a frame, and says whether it ended a call. What was written goes out before anybody waits.
func (c *grpcConn) receive(v *verifier) (ended bool, err error) {
	if c.in.Buffered() == 0 {
		if err := c.out.Flush(); err != nil {
			return false, err
		}
	}
	frame, err := c.framer.ReadFrame()
	if err != nil {
		return false, err
	}
	switch frame := frame.(type) {
	case *http2.DataFrame:
		return false, c.data(frame)
	case *http2.MetaHeadersFrame:
		if !frame.StreamEnded() {
			return false, nil
		}
		return true, c.end(frame, v)
	default:
		return false, c.control(frame)
	}
}

func (c *grpcConn) data(frame *http2.DataFrame) error {
	buffer := c.open[frame.StreamID]
	if buffer == nil || frame.StreamEnded() {
		return fmt.Errorf("stream %d: unexpected data", frame.StreamID)
	}
	buffer.Write(frame.Data())
	if c.unacked += int(frame.Length); c.unacked < window {
		return nil
	}
	increment := uint32(c.unacked)
	c.unacked = 0
	return c.framer.WriteWindowUpdate(0, increment)
}

// end verifies a call that has ended.
func (c *grpcConn) end(trailer *http2.MetaHeadersFrame, v *verifier) error {
	buffer := c.open[trailer.StreamID]
	delete(c.open, trailer.StreamID)
	if buffer == nil {
		return fmt.Errorf("stream %d: unexpected end", trailer.StreamID)
	}
	c.idle = append(c.idle, buffer)
	if err := trailerError(trailer); err != nil {
		return err
	}
	answer := buffer.Bytes()
	if len(answer) < prefix || answer[0] != 0 || int(binary.BigEndian.Uint32(answer[1:])) != len(answer)-prefix {
		return fmt.Errorf("not one plain message: %.200q", answer)
	}
	return v.check(answer[prefix:])
}

func trailerError(trailer *http2.MetaHeadersFrame) error {
	if status := value(trailer, "grpc-status"); status != "0" {
		return fmt.Errorf("grpc-status %q: %s", status, value(trailer, "grpc-message"))
	}
	return nil
}

func value(headers *http2.MetaHeadersFrame, name string) string {
	for _, field := range headers.Fields {
		if field.Name == name {
			return field.Value
		}
	}
	return ""
}

// control reacts to frames that are not about one call.
func (c *grpcConn) control(frame http2.Frame) error {
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if frame.IsAck() {
			return nil
		}
		return c.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if frame.IsAck() {
			return nil
		}
		return c.framer.WritePing(true, frame.Data)
	case *http2.WindowUpdateFrame:
		return nil
	case *http2.RSTStreamFrame:
		return c.reset(frame)
	default:
		return fmt.Errorf("unexpected %v", frame)
	}
}

// reset allows a server to close a stream it has answered wholly before it saw its end (RFC 9113, section 8.1).
func (c *grpcConn) reset(frame *http2.RSTStreamFrame) error {
	if _, open := c.open[frame.StreamID]; open || frame.ErrCode != http2.ErrCodeNo {
		return fmt.Errorf("stream %d: reset with %v", frame.StreamID, frame.ErrCode)
	}
	return nil
}
