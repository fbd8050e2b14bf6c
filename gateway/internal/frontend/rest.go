package frontend

import (
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/cardea-gateway/cardea/gateway/internal/route"
	"github.com/cardea-gateway/cardea/gateway/internal/transcode"
	"github.com/cardea-gateway/cardea/policies/call"
)

// serveREST serves a call over REST with JSON.
func serveREST(x Exchange, t *Table, rec *Record) {
	rc := &restCall{x: x, table: t, rec: rec}
	rc.end(rc.serve())
}

// restCall is one call over REST, from its route to its answer.
type restCall struct {
	x        Exchange
	table    *Table
	rec      *Record
	binding  *Binding
	captures route.Captures
	body     limitedBody
	life     *life // Nil before there is a call.
	stream   restStream
	compiled compiled // The codec, unless a generated handler is.
	failed   error    // Why the generated handler gave up.
	over     bool     // And may write no more.
}

// serve finds the binding, checks what can be checked without the body, and runs the chain.
func (rc *restCall) serve() error {
	if err := rc.table.admit(rc.x); err != nil {
		return err
	}
	if err := rc.match(); err != nil {
		return err
	}
	plan := rc.binding.Plan
	rc.rec.Method = plan.Method
	if err := rc.check(); err != nil {
		return err
	}
	l, err := rc.table.begin(rc.x, plan, !plan.Method.ClientStreams || rc.binding.Generated, true)
	if err != nil {
		return err
	}
	c := call.New(plan.Method, rc.x.Header())
	c.SetReception(&rc.rec.Reception)
	rc.rec.Call, rc.life = c, l
	rc.body = limitedBody{ReadCloser: rc.x.Body(), left: rc.bodyLimit()}
	rc.stream.rc = rc
	defer rc.stream.free()
	err = plan.run(l.ctx, rc.x, c, rc.stream.begin)
	err = l.reason(err)
	l.conclude(c)
	if rc.stream.codec == nil { // The call was refused before there was a stream.
		return err
	}
	defer rc.stopCodec()
	if err == nil && !plan.Method.ServerStreams {
		rc.x.LimitWrite(answerTimeout)
		err = protect(rc.stream.finish)
	}
	return err
}

// bodyLimit returns how large the body may be. A stream has as many messages as it likes, each of which has a limit.
func (rc *restCall) bodyLimit() int {
	if rc.binding.Plan.Method.ClientStreams && !rc.binding.Generated {
		return math.MaxInt - 1
	}
	return rc.table.Limits.MaxBodyBytes
}

func (rc *restCall) newCodec() codec {
	if rc.binding.Generated {
		return newHandler(rc)
	}
	rc.compiled.begin(rc)
	return &rc.compiled
}

func (rc *restCall) stopCodec() {
	rc.over = true
	rc.stream.codec.end()
}

// check refuses what no body can mend.
func (rc *restCall) check() error {
	if m := rc.binding.Plan.Method; m.ClientStreams && m.ServerStreams {
		return call.Refuse(codes.Unimplemented, "REST_NOT_POSSIBLE",
			m.FullName+" streams in both directions at once, which HTTP with JSON does not: call it over gRPC")
	}
	return rc.checkBody()
}

// match finds the binding of a path, or says why there is none. HEAD is GET without the body (RFC 9110, section 9.3.2).
func (rc *restCall) match() error {
	routes, method, path := rc.table.Routes, rc.x.Method(), rc.x.Path()
	if !strings.HasPrefix(path, "/") || !isPlain(path) {
		return malformedPath()
	}
	if routes == nil {
		return notFound(path)
	}
	binding, ok := routes.Match(method, path, &rc.captures)
	if !ok && method == http.MethodHead {
		binding, ok = routes.Match(http.MethodGet, path, &rc.captures)
	}
	if ok {
		rc.binding = binding
		return nil
	}
	if rc.captures.Err() != nil {
		return malformedPath()
	}
	allowed := routes.Methods(path)
	if len(allowed) == 0 {
		return notFound(path)
	}
	if slices.Contains(allowed, http.MethodGet) && !slices.Contains(allowed, http.MethodHead) {
		allowed = append(allowed, http.MethodHead)
		slices.Sort(allowed)
	}
	allow := strings.Join(allowed, ", ")
	rc.x.AddHeader("Allow", allow)
	return refuseAs(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED",
		fmt.Sprintf("%s is not allowed here; allowed: %s", method, allow))
}

func malformedPath() error {
	return call.Refuse(codes.InvalidArgument, "MALFORMED_PATH",
		"the path must start with a slash, be percent-encoded UTF-8, and hold neither control characters nor a segment . or ..")
}

func notFound(path string) error {
	return call.Refuse(codes.NotFound, "ROUTE_NOT_FOUND", fmt.Sprintf("no route matches the path %q", path))
}

// checkBody refuses a body in a form that can't be read. Rules without a body never look at one.
func (rc *restCall) checkBody() error {
	if rc.binding.Body == "" {
		return nil
	}
	header := rc.x.Header()
	if encoding := header.Get("content-encoding"); encoding != "" && encoding != "identity" {
		return refuseAs(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE",
			fmt.Sprintf("a body with content-encoding %q can't be read: send it uncompressed", encoding))
	}
	contentType := header.Get("content-type")
	switch {
	case contentType == "", contentType == contentTypeJSON: // Without a type, nothing else but JSON could be meant.
		return nil
	case rc.binding.Request.RawBody():
		return checkRawType(contentType)
	case isJSON(contentType, rc.binding.Plan.Method.ClientStreams):
		return nil
	}
	return refuseAs(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE",
		fmt.Sprintf("a body of type %q can't be read: send JSON with the header content-type: application/json", contentType))
}

// checkRawType refuses a type that can't be a string of the message.
func checkRawType(contentType string) error {
	if printable(contentType) {
		return nil
	}
	return refuseAs(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE",
		fmt.Sprintf("the content-type %q is not printable ASCII: send the type of the body, or application/octet-stream", contentType))
}

// isJSON tells whether a content type means JSON: by its name or its suffix (RFC 6839, section 3.1), and for a stream a value
// a line.
func isJSON(contentType string, stream bool) bool {
	media, params, err := mime.ParseMediaType(contentType)
	named := media == contentTypeJSON || stream && media == contentTypeNDJSON ||
		strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	return err == nil && named && isUTF8(params["charset"])
}

func isUTF8(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "utf-8")
}

// checkQuery refuses what compiled programs would refuse of the query.
func (rc *restCall) checkQuery() error {
	_, err := rc.binding.Request.AppendWire(nil, transcode.Input{Query: rc.x.Query(), Variables: &rc.captures})
	return malformed(err)
}

// failure returns why the generated handler made no call.
func (rc *restCall) failure() error {
	if rc.body.late { // The handler reports it as some error of reading.
		return errBodyTimeout
	}
	if over := rc.life.ctx.Err(); over != nil { // The same.
		return rc.life.unsent(over)
	}
	if rc.failed != nil {
		return rc.failed
	}
	return errNoCall
}

// end ends the exchange, whatever became of the call.
func (rc *restCall) end(err error) {
	if rc.body.exceeded && rc.x.Status() == 0 { // The handler reports it as some error of reading.
		err = refuseAs(http.StatusRequestEntityTooLarge, reasonTooLarge,
			fmt.Sprintf("the body is larger than the limit of %d bytes", rc.table.Limits.MaxBodyBytes))
	}
	if rc.x.Status() != 0 && rc.x.Method() == http.MethodHead { // All that was asked for was sent.
		err = nil
	}
	rc.rec.finish(err)
	switch m := rc.rec.Method; {
	case rc.x.Status() == 0 && err != nil:
		rc.refuse(err)
	case m == nil || !m.ServerStreams: // It was answered.
	case !rc.binding.Response.RawBody():
		rc.stream.codec.last(err)
	case err != nil:
		rc.x.Abort() // Bytes of any kind have no line for a status: their reader must see that they break off.
	case rc.x.Status() == 0:
		rc.emptyBytes()
	}
}

// emptyBytes answers with a stream of bytes that has ended before the first one.
func (rc *restCall) emptyBytes() {
	header, _ := rc.stream.gathered()
	eachOutgoing(header, rc.x.AddHeader)
	rc.x.AddHeader("Content-Type", contentTypeBytes)
	rc.x.Start(http.StatusOK)
}

// refuse answers with an error.
func (rc *restCall) refuse(err error) {
	header, _ := rc.stream.gathered()
	eachOutgoing(header, rc.x.AddHeader)
	writeError(rc.x, err, rc.rec, rc.table.Types)
}

// lastLine ends a stream of messages with its status, without which a reader can't tell the end from a broken connection.
func (rc *restCall) lastLine(err error, array bool) {
	line := statusLine(statusOf(err).Proto(), rc.table.Types)
	begun := rc.x.Status() != 0
	if !begun {
		header, _ := rc.stream.gathered()
		rc.addStreamHeaders(header, array)
	}
	if array {
		line = append(append(arrayStart(begun), line...), ']')
	}
	_, _ = rc.x.Write(append(line, '\n')) // A client that has gone away can't be told.
	if rc.x.Header().Get("te") == "" {
		return
	}
	if rc.rec.Origin == OriginGateway {
		rc.x.AddTrailer(originHeader, string(OriginGateway))
	}
}

// addStreamHeaders adds the headers of a stream of messages.
func (rc *restCall) addStreamHeaders(header metadata.MD, array bool) {
	eachOutgoing(header, rc.x.AddHeader)
	contentType := contentTypeNDJSON
	if array {
		contentType = contentTypeJSON
	}
	rc.x.AddHeader("Content-Type", contentType)
	rc.x.AddHeader("Vary", "Accept")
}

// arrayStart returns what stands before an element of an array.
func arrayStart(begun bool) []byte {
	if begun {
		return []byte{','}
	}
	return []byte{'['}
}

// limitedBody reads up to a limit; whatever comes after it is an error.
type limitedBody struct {
	io.ReadCloser
	left     int
	exceeded bool
	late     bool // It did not end in time.
}

var errBodyTooLarge = errors.New("the body is too large")

func (b *limitedBody) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1] // One more byte tells an end at the limit from a body beyond it.
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		b.exceeded = true
		return b.left, errBodyTooLarge
	}
	b.left -= n
	b.late = errors.Is(err, errBodyTimeout)
	return n, err
}
