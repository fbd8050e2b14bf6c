package frontend

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/cardea-gateway/cardea/gateway/internal/route"
	"github.com/cardea-gateway/cardea/gateway/internal/transcode"
	"github.com/cardea-gateway/cardea/policies/call"
)

// compiled is the codec of bindings without a generated handler: it runs the rule's programs, which turn JSON into wire bytes
// and back without message objects.
type compiled struct {
	rc      *restCall
	buffers *buffers
	values  *jsonValues // Of a client stream; nil before its first message.
	began   bool        // A message was read.
	array   bool        // The answer is a stream, and a JSON array rather than lines.
}

var _ codec = (*compiled)(nil)

func (c *compiled) begin(rc *restCall) {
	c.rc = rc
	c.buffers = buffersPool.Get().(*buffers) //nolint:forcetypeassert // Nothing else is put there.
	c.array = rc.binding.Plan.Method.ServerStreams && wantsArray(rc.x.Header().Values("accept"))
}

func (c *compiled) end() {
	c.buffers.release()
	c.buffers = nil
}

func (c *compiled) last(err error) { c.rc.lastLine(err, c.array) }

// buffers are what a call needs besides its messages.
type buffers struct {
	in   []byte // JSON of a request.
	wire []byte // What that is as a message.
	out  []byte // JSON of an answer.
}

// maxKept bounds what a pooled buffer keeps: a rare giant must not stay in memory for good.
const maxKept = 256 << 10

var buffersPool = sync.Pool{New: func() any { return new(buffers) }}

func (b *buffers) release() {
	for _, buf := range []*[]byte{&b.in, &b.wire, &b.out} {
		if cap(*buf) > maxKept {
			*buf = nil
		}
	}
	buffersPool.Put(b)
}

// request returns the next request message.
func (c *compiled) request() (*call.Message, error) {
	b := c.rc.binding
	first := !c.began
	c.began = true
	switch {
	case b.Request.RawBody():
		return c.rawRequest(first)
	case b.Plan.Method.ClientStreams && b.Body != "":
		return c.nextRequest()
	case !first:
		return nil, nil //nolint:nilnil // A message without a body comes once.
	}
	if b.Body == "" {
		if _, err := io.Copy(io.Discard, &c.rc.body); err != nil { // Behind it net/http notices a client that goes away.
			return nil, c.rc.unread(err)
		}
		return c.message(nil)
	}
	body, err := readAll(c.buffers.in[:0], &c.rc.body)
	if cap(body) <= maxKept { // A large one goes now: the backend may take its time to answer.
		c.buffers.in = body
	}
	if err != nil {
		return nil, c.rc.unread(err)
	}
	return c.message(body)
}

// nextRequest returns the next message of a client stream of JSON.
func (c *compiled) nextRequest() (*call.Message, error) {
	if c.values == nil {
		c.values = newJSONValues(&c.rc.body, c.rc.table.Limits.MaxMessageBytes, !c.rc.binding.Request.ArrayBody())
	}
	value, err := c.values.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil //nolint:nilnil // The end.
	case err != nil:
		return nil, c.rc.unread(err)
	}
	return c.message(value)
}

// message makes a request message of a body and what the URL says.
func (c *compiled) message(body []byte) (*call.Message, error) {
	wire, err := c.rc.binding.Request.AppendWire(c.buffers.wire[:0], transcode.Input{
		Body: body, Query: c.rc.x.Query(), Variables: &c.rc.captures,
	})
	if err != nil {
		return nil, malformed(err)
	}
	if c.buffers.wire = nil; len(wire) <= maxCopied { // Others go with their buffer: grpc may keep it for long.
		wire, c.buffers.wire = bytes.Clone(wire), wire
	}
	return call.NewMessage(mem.BufferSlice{mem.SliceBuffer(wire)}), nil
}

// maxCopied is the largest message that is copied to keep the buffer it was written into.
const maxCopied = 4 << 10

// rawChunk is how much of a raw body one message of a client stream carries.
const rawChunk = 64 << 10

// rawRequest returns a message that carries bytes of any kind: the whole body, or of a client stream the next part of it. What
// the URL says, and the type, is in the first one.
func (c *compiled) rawRequest(first bool) (*call.Message, error) {
	streams := c.rc.binding.Plan.Method.ClientStreams
	if !first && !streams {
		return nil, nil //nolint:nilnil // There is one.
	}
	limit := c.rc.body.left + 1 // Beyond it, the body says so.
	if streams {
		limit = rawChunk
	}
	data, err := readChunksUpTo(&c.rc.body, limit)
	if err != nil {
		return nil, c.rc.unread(err)
	}
	if data.Len() == 0 && !first {
		data.Free()
		return nil, nil //nolint:nilnil // The end.
	}
	var wire []byte
	contentType := ""
	if first {
		contentType = c.rc.x.Header().Get("content-type")
		wire, err = c.rc.binding.Request.AppendWire(nil, transcode.Input{Query: c.rc.x.Query(), Variables: &c.rc.captures})
		if err != nil {
			data.Free()
			return nil, malformed(err)
		}
	}
	head := c.rc.binding.Request.AppendRaw(wire, contentType, data.Len())
	return call.NewMessage(append(mem.BufferSlice{mem.SliceBuffer(head)}, data...)), nil
}

// unread returns why the body could not be read.
func (rc *restCall) unread(err error) error {
	over := rc.life.ctx.Err()
	switch syntax, ok := errors.AsType[*valueError](err); {
	case rc.body.late: // Which may have ended the exchange, too.
		return errBodyTimeout
	case over != nil:
		return rc.life.unsent(over)
	case ok:
		return call.Refuse(codes.InvalidArgument, "MALFORMED_REQUEST", syntax.Error())
	case call.Reason(err) != "":
		return err
	}
	return call.Refuse(codes.InvalidArgument, "MALFORMED_BODY", "the body broke off, or is not correctly framed")
}

// malformed makes a refusal of what a program says of a request.
func malformed(err error) error {
	fault, ok := errors.AsType[*transcode.RequestError](err)
	switch {
	case err == nil:
		return nil
	case !ok, fault.Part == transcode.InPath && errors.Is(fault.Err, route.ErrMalformedPath):
		return malformedPath()
	}
	details := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: fault.Path(), Description: fault.Err.Error()},
	}}
	switch fault.Fault {
	case transcode.UnknownParameter:
		return call.Refuse(codes.InvalidArgument, "UNKNOWN_QUERY_PARAMETER", fault.Error(), details)
	case transcode.BadQuery:
		return call.Refuse(codes.InvalidArgument, "MALFORMED_QUERY", fault.Error(), details)
	default:
		return call.Refuse(codes.InvalidArgument, "MALFORMED_REQUEST", fault.Error(), details)
	}
}

// answer writes a message.
func (c *compiled) answer(m *call.Message, header, trailer metadata.MD) error {
	wire := contiguous(m)
	defer wire.Free()
	if c.rc.binding.Response.RawBody() {
		return c.rawAnswer(wire.ReadOnlyData(), header, trailer)
	}
	streams, begun := c.rc.binding.Plan.Method.ServerStreams, c.rc.x.Status() != 0
	out := c.buffers.out[:0]
	if streams && c.array {
		out = append(out, arrayStart(begun)...)
	}
	out, err := c.rc.binding.Response.AppendJSON(out, wire.ReadOnlyData())
	c.buffers.out = out
	if err != nil {
		return badAnswer("the backend's answer is not a valid " + string(c.rc.binding.Plan.Method.Output.FullName()))
	}
	if streams {
		return c.writePart(append(out, '\n'), header)
	}
	return c.writeWhole(contentTypeJSON, out, header, trailer)
}

// rawAnswer writes bytes of any kind.
func (c *compiled) rawAnswer(wire []byte, header, trailer metadata.MD) error {
	contentType, data, err := c.rc.binding.Response.Raw(wire)
	if err != nil {
		return badAnswer("the backend's answer is not a valid google.api.HttpBody")
	}
	if contentType == "" || !printable(contentType) { // A backend can't break out of its header.
		contentType = contentTypeBytes
	}
	if !c.rc.binding.Plan.Method.ServerStreams {
		return c.writeWhole(contentType, data, header, trailer)
	}
	if c.rc.x.Status() == 0 {
		eachOutgoing(header, c.rc.x.AddHeader)
		c.rc.x.AddHeader("Content-Type", contentType)
	}
	return c.send(data)
}

// writeWhole writes an answer that is complete.
func (c *compiled) writeWhole(contentType string, body []byte, header, trailer metadata.MD) error {
	x := c.rc.x
	eachOutgoing(header, x.AddHeader)
	x.AddHeader("Content-Type", contentType)
	trailers := len(trailer) > 0 && x.Header().Get("te") != ""
	if !trailers {
		x.AddHeader("Content-Length", strconv.Itoa(len(body)))
	}
	if _, err := x.Write(body); err != nil {
		return errOver
	}
	if !trailers {
		return nil
	}
	if x.Flush() != nil { // Without it there is a length, and nothing behind it.
		return errOver
	}
	eachOutgoing(trailer, x.AddTrailer)
	return nil
}

// writePart writes one of several messages.
func (c *compiled) writePart(part []byte, header metadata.MD) error {
	if c.rc.x.Status() == 0 {
		c.rc.addStreamHeaders(header, c.array)
	}
	c.buffers.out = part
	return c.send(part)
}

// send writes bytes and sends them on.
func (c *compiled) send(part []byte) error {
	if _, err := c.rc.x.Write(part); err != nil {
		return errOver
	}
	if c.rc.x.Flush() != nil {
		return errOver
	}
	return nil
}

// contiguous returns a message's bytes in one piece; the caller frees it instead of the message.
func contiguous(m *call.Message) mem.Buffer {
	data := m.Take()
	if len(data) == 1 {
		return data[0]
	}
	defer data.Free()
	return data.MaterializeToBuffer(mem.DefaultBufferPool())
}
