package guard

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func newFraming() *framing { return &framing{maxBytes: 8192, maxFields: 20} }

// read is a request as the guard understands it.
type read struct{ head, body []byte }

// follow feeds a stream in pieces and cuts it into requests. What was passed on and the violation are those of the whole
// stream.
func follow(stream []byte, piece int) (requests []read, passed int, v *Violation) {
	f := newFraming()
	for passed < len(stream) && v == nil {
		n, violation := f.feed(stream[passed:min(passed+piece, len(stream))])
		passed, v = passed+n, violation
	}
	// Once more, byte by byte, to see where the requests are.
	f = newFraming()
	begin, headEnd := 0, -1
	for i := range stream[:passed] {
		if _, v := f.feed(stream[i : i+1]); v != nil {
			break
		}
		switch {
		case f.idle():
			if headEnd < 0 {
				headEnd = i + 1
			}
			requests = append(requests, read{stream[begin:headEnd], stream[headEnd : i+1]})
			begin, headEnd = i+1, -1
		case headEnd < 0 && !f.inHead():
			headEnd = i + 1
		}
	}
	return requests, passed, v
}

func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

func TestFollowsRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		stream   string
		requests int
	}{
		"nothing":            {"", 0},
		"part of a head":     {"GET / HT", 0},
		"get":                {crlf("GET / HTTP/1.1", "Host: a"), 1},
		"old":                {crlf("GET / HTTP/1.0"), 1},
		"pipelined":          {crlf("GET / HTTP/1.1", "Host: a") + crlf("GET /b HTTP/1.1", "Host: a") + crlf("GET /c HTTP/1.0"), 3},
		"body":               {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 5") + "GET /" + crlf("GET / HTTP/1.0"), 2},
		"empty body":         {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 0") + crlf("GET / HTTP/1.0"), 2},
		"spaces of a value":  {crlf("POST / HTTP/1.1", "Host:a", "Content-Length: \t 5 \t") + "12345" + crlf("GET / HTTP/1.0"), 2},
		"no body of a get":   {crlf("GET / HTTP/1.1", "Host: a", "Content-Length: 3") + "abc", 1},
		"part of a body":     {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 5") + "123", 0},
		"chunks":             {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", 1},
		"shouted":            {crlf("POST / HTTP/1.1", "HOST: a", "TRANSFER-ENCODING: CHUNKED") + "A\r\n0123456789\r\n000\r\n\r\n", 1},
		"trailers":           {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "0\r\nA: b\r\nC: d\r\n\r\n" + crlf("GET / HTTP/1.0"), 2},
		"empty host":         {crlf("GET / HTTP/1.1", "Host:"), 1},
		"odd names":          {crlf("GET / HTTP/1.1", "Host: a", "!#$%&'*+-.^_`|~9aZ: x"), 1},
		"value in UTF-8":     {crlf("GET / HTTP/1.1", "Host: a", "X: Zürich\tü"), 1},
		"empty value":        {crlf("GET / HTTP/1.1", "Host: a", "X:"), 1},
		"upgrade to h2c":     {crlf("GET / HTTP/1.1", "Host: a", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 1},
		"long names":         {crlf("GET / HTTP/1.1", "Host: a", strings.Repeat("content-length", 9)+": x"), 1},
		"as many as allowed": {crlf("GET / HTTP/1.1", "Host: a", strings.Repeat("A: b\r\n", 18)+"A: b"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 3, 7, 1 << 20} {
				requests, passed, v := follow([]byte(tc.stream), piece)
				if v != nil || passed != len(tc.stream) || len(requests) != tc.requests {
					t.Errorf("pieces of %d: %d requests in %d of %d bytes, %v", piece, len(requests), passed, len(tc.stream), v)
				}
			}
		})
	}
}

// attacks are streams that begin with one request or more that are legitimate, and go on with what must be refused.
var attacks = map[string]struct {
	stream string
	want   *Violation
}{
	"CL.TE":                        {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n", errBoth},
	"TE.CL":                        {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 4") + "0\r\n\r\n", errBoth},
	"TE.TE":                        {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), errRepeated},
	"TE.TE other case":             {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "transfer-Encoding: x"), errRepeated},
	"TE xchunked":                  {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: xchunked"), errEncoding},
	"TE list":                      {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked, identity"), errEncoding},
	"TE gzip":                      {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked"), errEncoding},
	"TE identity":                  {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: identity"), errEncoding},
	"TE empty":                     {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding:"), errEncoding},
	"TE quoted":                    {crlf("POST / HTTP/1.1", "Host: a", `Transfer-Encoding: "chunked"`), errEncoding},
	"TE Kelvin sign":               {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chun\u212aed"), errEncoding},
	"TE long":                      {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"+strings.Repeat(" ", 30)), errEncoding},
	"TE vertical tab":              {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding:\vchunked"), errControl},
	"TE line wrapped":              {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding:\n chunked"), errLineEnd},
	"TE in HTTP/1.0":               {crlf("POST / HTTP/1.0", "Transfer-Encoding: chunked") + "0\r\n\r\n", errOldChunked},
	"TE with underscore":           {crlf("POST / HTTP/1.1", "Host: a", "Transfer_Encoding: chunked"), errUnderscore},
	"CL.CL different":              {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 4", "Content-Length: 5"), errRepeated},
	"CL.CL same":                   {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 4", "Content-Length: 4"), errRepeated},
	"CL list":                      {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 4, 4"), errLength},
	"CL plus":                      {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: +4"), errLength},
	"CL minus":                     {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: -4"), errLength},
	"CL hex":                       {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 0x4"), errLength},
	"CL empty":                     {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: "), errLength},
	"CL digits apart":              {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 4 4"), errLength},
	"CL overflow":                  {crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 18446744073709551620"), errLength},
	"CL with underscore":           {crlf("POST / HTTP/1.1", "Host: a", "Content_Length: 4"), errUnderscore},
	"space before colon":           {crlf("POST / HTTP/1.1", "Host: a", "Content-Length : 4"), errName},
	"tab before colon":             {crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding\t: chunked"), errName},
	"space in a name":              {crlf("POST / HTTP/1.1", "Host: a", "X Content-Length: 4"), errName},
	"name without colon":           {crlf("POST / HTTP/1.1", "Host: a", "Content-Length"), errName},
	"empty name":                   {crlf("POST / HTTP/1.1", "Host: a", ": x"), errName},
	"name not ASCII":               {crlf("POST / HTTP/1.1", "Host: a", "Content-Length\xa0: 4"), errName},
	"NUL in a name":                {crlf("POST / HTTP/1.1", "Host: a", "Content-\x00Length: 4"), errName},
	"obs-fold":                     {crlf("POST / HTTP/1.1", "Host: a", "X: y", " Content-Length: 4"), errFold},
	"obs-fold by tab":              {crlf("POST / HTTP/1.1", "Host: a", "X: y", "\tTransfer-Encoding: chunked"), errFold},
	"space before the first name":  {crlf("POST / HTTP/1.1", " Host: a"), errFold},
	"bare LF behind request line":  {"GET / HTTP/1.1\nHost: a\r\n\r\n", errLineEnd},
	"bare LF behind a field":       {"GET / HTTP/1.1\r\nHost: a\n\r\n", errLineEnd},
	"bare LF at the end":           {"GET / HTTP/1.1\r\nHost: a\r\n\n", errLineEnd},
	"bare CR behind a field":       {"GET / HTTP/1.1\r\nHost: a\rContent-Length: 4\r\n\r\n", errLineEnd},
	"bare CR behind request line":  {"GET / HTTP/1.1\rHost: a\r\n\r\n", errLineEnd},
	"bare CR at the end":           {"GET / HTTP/1.1\r\nHost: a\r\n\rX", errLineEnd},
	"NUL in a value":               {crlf("GET / HTTP/1.1", "Host: a\x00b"), errControl},
	"DEL in a value":               {crlf("GET / HTTP/1.1", "Host: a", "X: \x7f"), errControl},
	"no host":                      {crlf("GET / HTTP/1.1", "X: y"), errHost},
	"two hosts":                    {crlf("GET / HTTP/1.1", "Host: a", "Host: b"), errRepeated},
	"two hosts in HTTP/1.0":        {crlf("GET / HTTP/1.0", "Host: a", "Host: b"), errRepeated},
	"two spaces":                   {crlf("GET  / HTTP/1.1", "Host: a"), errRequestLine},
	"two spaces before version":    {crlf("GET /  HTTP/1.1", "Host: a"), errRequestLine},
	"tab in request line":          {crlf("GET\t/ HTTP/1.1", "Host: a"), errRequestLine},
	"tab in the target":            {crlf("GET /\tHTTP/1.1", "Host: a"), errTarget},
	"form feed in the target":      {crlf("GET /\fx HTTP/1.1", "Host: a"), errTarget},
	"no-break space in the target": {crlf("GET /\xa0HTTP/1.1 HTTP/1.1", "Host: a"), errTarget},
	"fragment in the target":       {crlf("GET /#x HTTP/1.1", "Host: a"), errTarget},
	"space behind version":         {crlf("GET / HTTP/1.1 ", "Host: a"), errLineEnd},
	"space before the method":      {crlf(" GET / HTTP/1.1", "Host: a"), errRequestLine},
	"empty line first":             {"\r\n" + crlf("GET / HTTP/1.1", "Host: a"), errRequestLine},
	"empty line between":           {crlf("GET / HTTP/1.1", "Host: a") + "\r\n" + crlf("GET / HTTP/1.1", "Host: a"), errRequestLine},
	"HTTP/0.9":                     {"GET /\r\n\r\n", errRequestLine},
	"HTTP/1.2":                     {crlf("GET / HTTP/1.2", "Host: a"), errVersion},
	"HTTP/2.0":                     {crlf("GET / HTTP/2.0", "Host: a"), errVersion},
	"HTTP/0.9 by name":             {crlf("GET / HTTP/0.9", "Host: a"), errVersion},
	"version in lower case":        {crlf("GET / http/1.1", "Host: a"), errRequestLine},
	"version with zero":            {crlf("GET / HTTP/1.01", "Host: a"), errLineEnd},
	"version with two digits":      {crlf("GET / HTTP/11.1", "Host: a"), errRequestLine},
	"HTTP/2 preface, cut":          {"PRI * HTTP/2.0\r\n\r\nGET /", errVersion},
	"PROXY v1":                     {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + crlf("GET / HTTP/1.1", "Host: a"), errRequestLine},
	"PROXY v2":                     {"\r\n\r\n\x00\r\nQUIT\n", errRequestLine},
	"TLS":                          {"\x16\x03\x01\x02\x00", errRequestLine},
	"too many fields":              {crlf("GET / HTTP/1.1", "Host: a", strings.Repeat("A: b\r\n", 19)+"A: b"), errHeadFields},
	"too many bytes in fields":     {crlf("GET / HTTP/1.1", "Host: a", "A: "+strings.Repeat("b", 9000)), errHeadBytes},
	"too many bytes in the target": {"GET /" + strings.Repeat("b", 9000), errHeadBytes},
	"too many bytes in the method": {strings.Repeat("b", 9000), errHeadBytes},
	"second request":               {crlf("GET / HTTP/1.1", "Host: a") + crlf("GET / HTTP/1.1"), errHost},

	"chunk extension":          {chunks("3;a=b\r\nabc\r\n0\r\n\r\n"), errExtension},
	"chunk extension, last":    {chunks("3\r\nabc\r\n0;a\r\n\r\n"), errExtension},
	"chunk extension, bare LF": {chunks("3;\nxx\r\n0\r\n\r\n"), errExtension},
	"chunk size spaces":        {chunks("3 \r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size spaces before": {chunks(" 3\r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size 0x":            {chunks("0x3\r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size plus":          {chunks("+3\r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size minus":         {chunks("-1\r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size underscore":    {chunks("1_0\r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size empty":         {chunks("\r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size overflow":      {chunks("100000003\r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size many zeros":    {chunks("000000003\r\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size bare LF":       {chunks("3\nabc\r\n0\r\n\r\n"), errChunkSize},
	"chunk size bare CR":       {chunks("3\rXabc\r\n0\r\n\r\n"), errLineEnd},
	"chunk longer":             {chunks("3\r\nabcd\r\n0\r\n\r\n"), errChunkEnd},
	"chunk end bare LF":        {chunks("3\r\nabc\n0\r\n\r\n"), errChunkEnd},
	"chunk end bare CR":        {chunks("3\r\nabc\r0\r\n\r\n"), errChunkEnd},
	"last chunk bare LF":       {chunks("0\n\n"), errChunkSize},
	"last chunk, then bare LF": {chunks("0\r\n\n"), errLineEnd},
	"trailer bare LF":          {chunks("0\r\nA: b\n\r\n"), errLineEnd},
	"trailer frames":           {chunks("0\r\nContent-Length: 5\r\n\r\n"), errTrailer},
	"trailer host":             {chunks("0\r\nHost: b\r\n\r\n"), errTrailer},
	"trailer fold":             {chunks("0\r\nA: b\r\n c\r\n\r\n"), errFold},
	"trailers too many":        {chunks("0\r\n" + strings.Repeat("A: b\r\n", 21) + "\r\n"), errHeadFields},
	"trailers too long":        {chunks("0\r\nA: " + strings.Repeat("b", 4000) + "\r\n\r\n"), errHeadBytes},
}

func chunks(body string) string {
	return crlf("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + body
}

func TestRefuses(t *testing.T) {
	for name, tc := range attacks {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 5, 1 << 20} {
				if _, passed, v := follow([]byte(tc.stream), piece); v != tc.want {
					t.Errorf("pieces of %d, %d bytes passed: %v", piece, passed, v)
				}
			}
		})
	}
}

// FuzzAgreesWithNetHTTP feeds streams to the guard: what it passes on, net/http must take for the same requests.
func FuzzAgreesWithNetHTTP(f *testing.F) {
	for _, tc := range attacks {
		f.Add([]byte(tc.stream), uint16(9))
	}
	f.Add([]byte(chunks("3\r\nabc\r\n0\r\nA: b\r\n\r\n")+crlf("GET /x HTTP/1.1", "Host: a")), uint16(3))
	f.Add([]byte(crlf("POST / HTTP/1.1", "Host: a", "Content-Length: 5")+"12345"+crlf("PUT /x HTTP/1.0", "Content-Length: 1")+"1"), uint16(5000))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint16) {
		requests, passed, v := follow(stream, int(piece)+1)
		// Which of two violations comes first depends on the pieces; that there is one does not.
		if _, whole, same := follow(stream, len(stream)+1); (same == nil) != (v == nil) || whole > passed {
			t.Errorf("in pieces: %d bytes, %v; as a whole: %d bytes, %v", passed, v, whole, same)
		}
		r := bufio.NewReader(bytes.NewReader(stream[:passed]))
		for i, want := range requests {
			if !sameRequest(t, r, want) {
				return // net/http refuses it and closes the connection.
			}
			if t.Failed() {
				t.Fatalf("request %d: %q %q", i, want.head, want.body)
			}
		}
		if req, err := http.ReadRequest(r); err == nil && v != nil {
			_, err = io.Copy(io.Discard, req.Body)
			if err == nil {
				t.Errorf("one more request than the guard knows: %v", req)
			}
		}
	})
}

// sameRequest reads a request by net/http, as its server would, and compares it. It is false if net/http refuses it.
func sameRequest(t *testing.T, r *bufio.Reader, want read) bool {
	t.Helper()
	req, err := http.ReadRequest(r)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			t.Errorf("net/http waits for more: %v", err)
		}
		return false
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("net/http waits for more body: %v", err)
		}
		return false
	}
	line, _, _ := strings.Cut(string(want.head), "\r\n")
	if got := req.Method + " " + req.RequestURI + " " + req.Proto; got != line {
		t.Errorf("net/http reads %q", got)
	}
	if wantBody, ok := dechunk(want.body, req.TransferEncoding); !ok || string(body) != wantBody {
		t.Errorf("net/http reads the body %q", body)
	}
	return true
}

// dechunk takes chunks apart in the most naive way.
func dechunk(body []byte, encoding []string) (string, bool) {
	if len(encoding) == 0 {
		return string(body), true
	}
	var whole strings.Builder
	for rest := string(body); ; {
		line, after, ok := strings.Cut(rest, "\r\n")
		size := 0
		for _, c := range []byte(line) {
			size = size*16 + int(digitOf(c)) - 1
		}
		if !ok || size > len(after) {
			return "", false
		}
		if size == 0 {
			return whole.String(), strings.HasSuffix(after, "\r\n")
		}
		whole.WriteString(after[:size])
		rest = after[size+2:]
	}
}

var typical = crlf("POST /v1/orders/o-4711:cancel HTTP/1.1", "Host: api.example.com", "User-Agent: curl/8.5.0", "Accept: */*",
	"Authorization: Bearer 0123456789abcdef0123456789abcdef", "Content-Type: application/json", "Content-Length: 16") + `{"reason":"nah"}`

func BenchmarkSmallRequest(b *testing.B) {
	f, stream := newFraming(), []byte(typical)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if _, v := f.feed(stream); v != nil || !f.idle() {
			b.Fatal(v)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	f, stream := newFraming(), []byte(typical+chunks("3\r\nabc\r\n0\r\nA: b\r\n\r\n"))
	if n := testing.AllocsPerRun(100, func() { f.feed(stream) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
