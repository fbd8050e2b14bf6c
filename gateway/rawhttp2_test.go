package gateway_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawHTTP2 is one end of an HTTP/2 connection that sends what no library would.
type rawHTTP2 struct {
	net.Conn
	*http2.Framer

	block   bytes.Buffer
	encoder *hpack.Encoder
}

func newRawHTTP2(conn net.Conn) *rawHTTP2 {
	h := &rawHTTP2{Conn: conn, Framer: http2.NewFramer(conn, conn)}
	h.ReadMetaHeaders = hpack.NewDecoder(1<<16, nil)
	h.encoder = hpack.NewEncoder(&h.block)
	return h
}

// dialHTTP2 opens a connection as a client.
func dialHTTP2(t *testing.T, address string, settings ...http2.Setting) *rawHTTP2 {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	h := newRawHTTP2(conn)
	if err := h.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return h
}

// headers sends a header block of pairs.
func (h *rawHTTP2) headers(id uint32, end bool, pairs ...string) {
	h.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = h.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}) // A bytes.Buffer takes everything.
	}
	_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.block.Bytes(), EndHeaders: true, EndStream: end})
}

// call begins a gRPC call.
func (h *rawHTTP2) call(id uint32, path string, more ...string) {
	h.headers(id, false, append([]string{
		":method", "POST", ":scheme", "http", ":path", path, ":authority", "gateway", "content-type", "application/grpc", "te", "trailers",
	}, more...)...)
}

// answer reads until a header block comes, and returns it; nil where the stream was reset or nothing came.
func (h *rawHTTP2) answer(t *testing.T, within time.Duration) map[string]string {
	t.Helper()
	if err := h.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := h.ReadFrame()
		if err != nil {
			t.Errorf("no answer within %v: %v", within, err)
			return nil
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = h.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			fields := map[string]string{}
			for _, field := range frame.Fields {
				fields[field.Name] = field.Value
			}
			return fields
		case *http2.RSTStreamFrame:
			return nil
		}
	}
}

// grpcFrame returns a message as gRPC frames it.
func grpcFrame(flag byte, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(data))), data...)
}

// rawBackend is a backend that answers each call by hand. It returns its address.
func rawBackend(t *testing.T, answer func(h *rawHTTP2, id uint32)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveRaw(conn, answer)
		}
	}()
	return listener.Addr().String()
}

func serveRaw(conn net.Conn, answer func(h *rawHTTP2, id uint32)) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	h := newRawHTTP2(conn)
	_ = h.WriteSettings()
	for {
		frame, err := h.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = h.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				_ = h.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			answer(h, frame.StreamID)
		}
	}
}
