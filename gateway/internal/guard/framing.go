package guard

// Hot path: framing runs over every byte of every head and over the frame of every body. It neither allocates nor copies,
// but for a few bytes of names and values that it must know, and skips bodies in one step.

// state is what the next byte belongs to.
type state uint8

const (
	atMethod    state = iota // A connection rests here between requests.
	atTarget                 //
	atVersion                //
	atLineCR                 // Behind the version.
	atLineLF                 //
	atLineStart              // Of a field, or of the empty line behind the last one.
	atName                   //
	atValue                  //
	atEndLF                  // The last byte of head or trailers.
	atData                   // Of a body, or of a chunk. From here on, states are not of lines.
	atSize                   // Of a chunk.
	atSizeLF                 //
	atDataCR                 // Behind a chunk.
	atDataLF                 //
)

// field is a kind of header field.
type field uint8

const (
	plain field = iota
	contentLength
	transferEncoding
)

const (
	maxLengthDigits = 18   // Of a Content-Length: they fit into an int64.
	maxSizeDigits   = 8    // Of a chunk size.
	maxTrailerBytes = 3072 // net/http takes what fits its buffer of 4 KiB.
)

// framing follows requests on one connection.
type framing struct {
	maxBytes, maxFields int
	message
}

// message is what is known of the present request.
type message struct {
	state  state
	field  field
	spent  int      // Bytes of the head, or of the trailers.
	fields int      // As many.
	n      int      // Bytes of the present element.
	text   [24]byte // The first ones of a name or value, in lower case.
	left   int64    // Bytes of the body, or of the chunk.

	old, trailers                  bool // HTTP/1.0; behind the last chunk.
	hasHost, hasLength, hasChunked bool
}

// idle tells that no byte of the next request is here.
func (f *framing) idle() bool { return f.state == atMethod && f.n == 0 }

// inHead tells that the next byte is one of a request's head.
func (f *framing) inHead() bool { return f.state < atData && !f.trailers }

// feed follows some bytes and says how many of them may be passed on. It is len(p), or there is a violation: then what is
// left out holds the violation, and of a head all that is in p. After a violation, no bytes must follow.
func (f *framing) feed(p []byte) (int, *Violation) {
	head := 0 // Where the present head begins, if it does so in p.
	for i := 0; i < len(p); {
		if f.idle() {
			head = i
		}
		inHead := f.inHead()
		n, v := f.step(p[i:])
		if v == nil && f.state < atData && !f.idle() {
			v = f.spend(n)
		}
		switch {
		case v == nil:
			i += n
		case inHead:
			return head, v
		default:
			return i, v
		}
	}
	return len(p), nil
}

// step takes bytes of the present element, one at least unless the state changes.
func (f *framing) step(p []byte) (int, *Violation) {
	switch f.state {
	case atMethod:
		return f.word(p, &tokens, atTarget, errRequestLine)
	case atTarget:
		return f.word(p, &targets, atVersion, errTarget)
	case atVersion:
		return f.version(p)
	case atLineCR:
		return f.expect(p, '\r', atLineLF, errLineEnd)
	case atLineLF:
		return f.endLine(p)
	case atLineStart:
		return f.beginLine(p)
	case atName:
		return f.name(p)
	case atValue:
		return f.value(p)
	case atEndLF:
		return f.end(p)
	case atData:
		return f.data(p)
	case atSize:
		return f.size(p)
	case atSizeLF:
		return f.beginChunk(p)
	case atDataCR:
		return f.expect(p, '\r', atDataLF, errChunkEnd)
	default:
		return f.expect(p, '\n', atSize, errChunkEnd)
	}
}

func (f *framing) enter(s state) { f.state, f.n = s, 0 }

// spend counts bytes of lines, but for the last byte of all, which is too late to be refused.
func (f *framing) spend(n int) *Violation {
	limit := f.maxBytes
	if f.trailers {
		limit = maxTrailerBytes
	}
	if f.spent += n; f.spent > limit {
		return errHeadBytes
	}
	return nil
}

func (f *framing) expect(p []byte, want byte, next state, otherwise *Violation) (int, *Violation) {
	if p[0] != want {
		return 0, otherwise
	}
	f.enter(next)
	return 1, nil
}

// word takes one of the first two parts of the request line, with the space behind it.
func (f *framing) word(p []byte, set *table, next state, otherwise *Violation) (int, *Violation) {
	i := 0
	for i < len(p) && set[p[i]] != 0 {
		i++
	}
	f.n += i
	switch {
	case i == len(p):
		return i, nil
	case p[i] == '\r', p[i] == '\n', f.n == 0:
		return 0, errRequestLine
	case p[i] != ' ':
		return 0, otherwise
	}
	f.enter(next)
	return i + 1, nil
}

const digits = '#' // Stands for any digit.

// version takes HTTP/ and two digits around a dot.
func (f *framing) version(p []byte) (int, *Violation) {
	const form = "HTTP/#.#"
	i := 0
	for ; i < len(p) && f.n < len(form); i++ {
		want, c := form[f.n], p[i]
		if c != want && (want != digits || c < '0' || c > '9') {
			return 0, errRequestLine
		}
		f.text[f.n] = c
		f.n++
	}
	if f.n < len(form) {
		return i, nil
	}
	switch string(f.text[:len(form)]) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		f.old = true
	default:
		return 0, errVersion
	}
	f.enter(atLineCR)
	return i, nil
}

func (f *framing) beginLine(p []byte) (int, *Violation) {
	switch c := p[0]; {
	case c == '\r':
		f.enter(atEndLF)
		return 1, nil
	case c == '\n':
		return 0, errLineEnd
	case c == ' ', c == '\t':
		return 0, errFold
	case tokens[c] == 0:
		return 0, errName
	case f.fields == f.maxFields:
		return 0, errHeadFields
	}
	f.fields++
	f.enter(atName)
	return 0, nil
}

// name takes a name with its colon.
func (f *framing) name(p []byte) (int, *Violation) {
	n := f.n
	for i, c := range p {
		lower := tokens[c]
		if lower == 0 {
			f.n = n
			if c != ':' {
				return 0, errName
			}
			return i + 1, f.beginValue()
		}
		if n < len(f.text) {
			f.text[n] = lower
		}
		n++
	}
	f.n = n
	return len(p), nil
}

// beginValue looks at the name that is complete.
func (f *framing) beginValue() *Violation {
	f.field = plain
	if f.n <= len(f.text) {
		if v := f.known(string(f.text[:f.n])); v != nil {
			return v
		}
	}
	f.enter(atValue)
	return nil
}

// known notes the fields that frame a request.
func (f *framing) known(name string) *Violation {
	var seen *bool
	switch name {
	case "host":
		seen = &f.hasHost
	case "content-length":
		seen, f.field = &f.hasLength, contentLength
	case "transfer-encoding":
		seen, f.field = &f.hasChunked, transferEncoding
	case "content_length", "transfer_encoding": // CGI and its heirs make no difference.
		return errUnderscore
	default:
		return nil
	}
	if f.trailers {
		return errTrailer
	}
	if *seen {
		return errRepeated
	}
	*seen = true
	return nil
}

// value takes a value with its CR.
func (f *framing) value(p []byte) (int, *Violation) {
	i := 0
	for i < len(p) && texts[p[i]] != 0 {
		i++
	}
	if f.field != plain {
		f.keep(p[:i])
	}
	switch {
	case i == len(p):
		return i, nil
	case p[i] == '\n':
		return 0, errLineEnd
	case p[i] != '\r':
		return 0, errControl
	}
	f.state = atLineLF
	return i + 1, nil
}

// keep keeps the beginning of a value that matters, without the whitespace around it.
func (f *framing) keep(p []byte) {
	for _, c := range p {
		if f.n == 0 && (c == ' ' || c == '\t') {
			continue
		}
		if f.n < len(f.text) {
			f.text[f.n] = texts[c]
		}
		f.n++
	}
}

// kept returns the value; one that is longer than anything useful is not ok.
func (f *framing) kept() (value []byte, ok bool) {
	if f.n > len(f.text) {
		return nil, false
	}
	value = f.text[:f.n]
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	return value, true
}

// endLine takes the LF of the request line or of a field.
func (f *framing) endLine(p []byte) (int, *Violation) {
	if p[0] != '\n' {
		return 0, errLineEnd
	}
	if v := f.endValue(); v != nil {
		return 0, v
	}
	f.field = plain
	f.enter(atLineStart)
	return 1, nil
}

func (f *framing) endValue() *Violation {
	switch f.field {
	case contentLength:
		return f.setLength()
	case transferEncoding:
		if value, ok := f.kept(); !ok || string(value) != "chunked" {
			return errEncoding
		}
	case plain:
	}
	return nil
}

func (f *framing) setLength() *Violation {
	value, ok := f.kept()
	if !ok || len(value) == 0 || len(value) > maxLengthDigits {
		return errLength
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return errLength
		}
		f.left = 10*f.left + int64(c-'0')
	}
	return nil
}

// end takes the last byte of the head, or of the trailers.
func (f *framing) end(p []byte) (int, *Violation) {
	switch {
	case p[0] != '\n':
		return 0, errLineEnd
	case f.trailers:
		f.message = message{}
		return 1, nil
	case !f.hasHost && !f.old:
		return 0, errHost
	case f.hasChunked && f.hasLength:
		return 0, errBoth
	case f.hasChunked && f.old:
		return 0, errOldChunked
	}
	switch {
	case f.hasChunked:
		f.enter(atSize)
	case f.left > 0:
		f.enter(atData)
	default:
		f.message = message{}
	}
	return 1, nil
}

func (f *framing) data(p []byte) (int, *Violation) {
	n := min(int64(len(p)), f.left)
	f.left -= n
	switch {
	case f.left > 0:
	case f.hasChunked:
		f.enter(atDataCR)
	default:
		f.message = message{}
	}
	return int(n), nil
}

// size takes the size of a chunk, with its CR.
func (f *framing) size(p []byte) (int, *Violation) {
	for i, c := range p {
		digit := hex[c]
		switch {
		case digit != 0 && f.n < maxSizeDigits:
			f.left = f.left<<4 | int64(digit-1)
			f.n++
		case c == '\r' && f.n > 0:
			f.enter(atSizeLF)
			return i + 1, nil
		case c == ';':
			return 0, errExtension
		default:
			return 0, errChunkSize
		}
	}
	return len(p), nil
}

func (f *framing) beginChunk(p []byte) (int, *Violation) {
	if f.left > 0 {
		return f.expect(p, '\n', atData, errLineEnd)
	}
	n, v := f.expect(p, '\n', atLineStart, errLineEnd)
	if v == nil {
		f.trailers, f.spent, f.fields = true, 0, 0
	}
	return n, v
}

// table says which bytes belong to a set: 0 are outside.
type table [256]byte

var (
	tokens  = makeTable(token, lower)
	targets = makeTable(func(c byte) bool { return c > ' ' && c < 0x7f && c != '#' }, lower)
	texts   = makeTable(func(c byte) bool { return c == '\t' || c >= ' ' && c != 0x7f }, lower)
	hex     = makeTable(func(c byte) bool { return digitOf(c) > 0 }, digitOf)
)

func makeTable(has func(byte) bool, value func(byte) byte) (t table) {
	for i := range t {
		if c := byte(i); has(c) {
			t[i] = value(c)
		}
	}
	return t
}

func token(c byte) bool {
	switch {
	case c >= '0' && c <= '9', lower(c) >= 'a' && lower(c) <= 'z':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// digitOf returns the value of a hexadecimal digit plus one, or 0.
func digitOf(c byte) byte {
	switch c = lower(c); {
	case c >= '0' && c <= '9':
		return c - '0' + 1
	case c >= 'a' && c <= 'f':
		return c - 'a' + 11
	}
	return 0
}
