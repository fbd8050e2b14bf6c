package transcode

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// RequestRule says what of a request message comes from where, as a rule of google.api.http does.
type RequestRule struct {
	// Variables are the fields that the variables of the path fill, in the order of the path.
	Variables []string
	// Body is the field that the body fills: "*" for the message itself, "" for none.
	Body string
	// Mask fills the request's field mask with the fields that the body sets, where the client gives none: the meaning of
	// PATCH. It needs a body that is a message, and exactly one field of type google.protobuf.FieldMask.
	Mask bool
	// IgnoreUnknown skips query parameters that name no field, which are refused otherwise.
	IgnoreUnknown bool
	// Ignored are names of query parameters that are skipped, whatever they mean; a star at the end stands for any rest.
	Ignored []string
}

// Request makes request messages of what HTTP says: body, query and path. It is safe for concurrent use.
//
// A field has one source. What a variable of the path fills, neither body nor query can: their word for it is checked and
// dropped. What the body fills, the query cannot, and with the body "*" there is nothing left for a query.
type Request struct {
	p    *Program
	rule RequestRule

	variables  []place
	taken      [][]byte  // Their keys.
	oneofs     []filling // The oneofs that they fill.
	wanted     []wanted  // What of the body does not count.
	body       place     // If the body fills a field.
	bodyKey    []byte
	bodyOneofs []filling
	mask       *field // To be filled from the body; nil if there is none.
	raw        bool   // The body is bytes of any kind: a google.api.HttpBody.
	dropped    bool   // The path fills part of what the body is, and the two can't be told apart: only the path counts.
}

// httpBody is the type of bodies that are no JSON.
const httpBody = "google.api.HttpBody"

// Request compiles a rule for the program's message type. Its errors say which part of the rule is wrong.
func (p *Program) Request(rule RequestRule) (*Request, error) {
	r := &Request{p: p, rule: rule, raw: rule.Body == "*" && p.m.desc.FullName() == httpBody}
	for _, path := range rule.Variables {
		if err := r.addVariable(path); err != nil {
			return nil, fmt.Errorf("path variable %q: %w", path, err)
		}
	}
	if err := r.addBody(); err != nil {
		return nil, fmt.Errorf("body %q: %w", rule.Body, err)
	}
	if rule.Mask && r.bodyKey != nil && r.body.field.leadsOn() && !r.body.field.message.custom() {
		r.mask = p.m.onlyMask()
	}
	if r.mask != nil && r.isTaken([]byte(r.mask.tag)) {
		r.mask = nil
	}
	return r, nil
}

func (r *Request) addVariable(path string) error {
	v, err := r.p.m.place(path)
	if err == nil {
		err = v.variable()
	}
	if err != nil {
		return err
	}
	oneofs := slices.Concat(r.oneofs, v.oneofs())
	switch {
	case r.isTaken(v.key()):
		return errTwice
	case contradict(oneofs):
		return errOneofTwice
	}
	r.variables, r.oneofs = append(r.variables, v), oneofs
	r.taken = append(r.taken, v.key())
	r.wanted = addWanted(r.wanted, v)
	return nil
}

// contradict reports whether two members of one oneof are filled.
func contradict(oneofs []filling) bool {
	q := query{fillings: slices.Clone(oneofs)}
	return len(oneofs) > 0 && q.conflict() != nil
}

var (
	// errTwice says that a rule fills a field twice.
	errTwice = errors.New("a variable of the path fills the same field")
	// errOneofTwice says that a rule fills a oneof twice.
	errOneofTwice = errors.New("a variable of the path fills another field of the same oneof")
	// errRawGroup says that a raw body is where its length can't stand before it.
	errRawGroup = errors.New("a google.api.HttpBody can be neither a group nor in one: use length-prefixed encoding")
)

func (r *Request) addBody() error {
	if r.rule.Body == "" || r.rule.Body == "*" {
		if r.raw && len(r.variables) > 0 {
			return errTwice
		}
		if r.p.m.custom() {
			r.dropped, r.wanted = len(r.variables) > 0, nil
		}
		return nil
	}
	body, err := r.p.m.place(r.rule.Body)
	if err != nil {
		return err
	}
	r.body, r.bodyKey, r.bodyOneofs = body, body.key(), body.oneofs()
	r.raw = body.field.leadsOn() && body.field.message.desc.FullName() == httpBody
	if r.raw && slices.ContainsFunc(body.path(), (*field).isGroup) {
		return errRawGroup
	}
	for _, key := range r.taken {
		if bytes.HasPrefix(r.bodyKey, key) || r.raw && bytes.HasPrefix(key, r.bodyKey) {
			return errTwice
		}
		r.dropped = r.dropped || body.field.leadsOn() && body.field.message.custom() && bytes.HasPrefix(key, r.bodyKey)
	}
	if contradict(slices.Concat(r.oneofs, r.bodyOneofs)) {
		return errOneofTwice
	}
	r.wanted = below(r.wanted, body)
	return nil
}

// onlyMask returns the field of the message that is a field mask, nil unless there is exactly one.
func (m *message) onlyMask() *field {
	var found *field
	for i := range m.fields {
		if f := &m.fields[i]; f.leadsOn() && f.message.known == knownFieldMask {
			if found != nil {
				return nil
			}
			found = f
		}
	}
	return found
}

// RawBody reports whether the body is bytes of any kind, a google.api.HttpBody, rather than JSON.
func (r *Request) RawBody() bool { return r.raw }

// ArrayBody reports whether the JSON of the body may itself be an array.
func (r *Request) ArrayBody() bool {
	if f := r.body.field; f != nil {
		return f.shape == list || f.leadsOn() && f.message.isArray()
	}
	return r.p.m.isArray()
}

func (m *message) isArray() bool { return m.known == knownList || m.known == knownValue }

// Variables are the values of a path's variables.
type Variables interface {
	// AppendValue appends the value of variable i.
	AppendValue(dst []byte, i int) ([]byte, error)
}

// Input is what HTTP says of one request.
type Input struct {
	// Body is the JSON of what the rule's body names; if it is empty, it is as if nothing had been said.
	Body []byte
	// Query is the query string, undecoded.
	Query string
	// Variables are those of the path. Nil if there are none.
	Variables Variables
}

// Part is a part of a request.
type Part string

// The parts that can be at fault.
const (
	InBody  Part = "body"
	InQuery Part = "query parameter"
	InPath  Part = "path variable"
)

// Fault is a kind of fault in a request.
type Fault uint8

// The kinds of faults.
const (
	// BadValue is a value that does not fit its field.
	BadValue Fault = iota
	// UnknownParameter is a query parameter that is none of the method's.
	UnknownParameter
	// BadQuery is a query string that can't be taken apart.
	BadQuery
)

// RequestError says which part of a request is at fault.
type RequestError struct {
	// Part is that part.
	Part Part
	// Name is the parameter or variable as the client, or the rule, wrote it; empty for the body.
	Name string
	// Fault is what kind of fault it is.
	Fault Fault
	// Err says what is wrong with it; an *Error, where its message is.
	Err error
	// Type is the name of what the body should be.
	Type string
}

// Error returns part and reason in one line.
func (e *RequestError) Error() string {
	switch {
	case e.Part == InBody:
		return "the body is not a valid " + e.Type + ": " + e.Err.Error()
	case e.Fault == UnknownParameter:
		return fmt.Sprintf("the %s %q %s", e.Part, excerpt([]byte(e.Name)), e.Err)
	default:
		return fmt.Sprintf("the %s %q: %s", e.Part, excerpt([]byte(e.Name)), e.Err)
	}
}

func (e *RequestError) Unwrap() error { return e.Err }

// Path leads to the field at fault, as in `order.items[3].quantity`; empty if it is none in particular.
func (e *RequestError) Path() string {
	if e.Part != InBody {
		return e.Name
	}
	if cause, ok := errors.AsType[*Error](e.Err); ok {
		return cause.Path
	}
	return ""
}

// AppendWire appends the request message to dst. On failure, a *RequestError, it returns dst as it was.
func (r *Request) AppendWire(dst []byte, in Input) ([]byte, error) {
	d := r.p.c.decoders.Get().(*decoder) //nolint:forcetypeassert // Nothing else is put there.
	defer d.release()
	d.begin(dst, in.Body)
	if err := r.append(d, in); err != nil {
		return dst, err
	}
	return d.out, nil
}

// append writes what the body says, then the query, then the path.
func (r *Request) append(d *decoder, in Input) error {
	filled := len(in.Body) > 0 && r.rule.Body != ""
	if filled {
		if err := d.body(r); err != nil {
			return &RequestError{Part: InBody, Type: r.bodyType(), Err: err}
		}
	}
	if err := d.queried(r, in.Query, filled); err != nil {
		return err
	}
	if filled && r.mask != nil && !d.query.has(r.mask) {
		if err := d.maskOf(r, in.Body); err != nil {
			return &RequestError{Part: InBody, Type: r.bodyType(), Err: err}
		}
	}
	for i := range r.variables {
		if err := d.variable(r, in.Variables, i); err != nil {
			return &RequestError{Part: InPath, Name: r.rule.Variables[i], Err: err}
		}
	}
	return nil
}

func (r *Request) bodyType() string {
	switch f := r.body.field; {
	case f == nil:
		return string(r.p.m.desc.FullName())
	case f.message != nil && f.shape == single:
		return string(f.message.desc.FullName())
	default:
		return "value of " + r.rule.Body
	}
}

// body reads what the rule's body names.
func (d *decoder) body(r *Request) error {
	before := len(d.out)
	var err error
	d.wanted = r.wanted
	if r.body.field != nil {
		err = d.at(r.body.steps, func() error { return d.content(r.body.field) })
	} else {
		err = d.message(r.p.m)
	}
	d.wanted = nil
	if r.dropped {
		d.out = d.out[:before]
	}
	if err == nil {
		err = d.end()
	}
	if err == nil && len(d.out)-d.base > d.c.limits.MaxOutput {
		err = d.tooLarge()
	}
	return err
}

// at writes content into messages, each inside the one before.
func (d *decoder) at(steps []*field, content func() error) error {
	if len(steps) == 0 {
		return content()
	}
	f := steps[0]
	d.out = append(d.out, f.tag...)
	if f.op == opGroup {
		err := d.at(steps[1:], content)
		d.out = append(d.out, f.end...)
		return err
	}
	start := d.nest()
	err := d.at(steps[1:], content)
	d.close(start)
	return err
}

// content reads the value of a field, in whichever shape it has.
func (d *decoder) content(f *field) error {
	if d.peek() == 'n' && !f.nullable {
		return d.literal("null")
	}
	switch f.shape {
	case mapped:
		return d.entries(f)
	case list:
		return d.list(f)
	default:
		before := len(d.out)
		written, err := d.single(f, f.tag)
		if !written {
			d.out = d.out[:before]
		}
		return err
	}
}

// claim marks the fields of a message that variables of the path fill: nothing else can fill their oneofs, and they are not
// missing.
func (s *marks) claim(tree []wanted) {
	for i := range tree {
		if tree[i].inner == nil {
			s.addSlot(tree[i].field.slot, tree[i].field.number)
		}
	}
}

// claimInside is claim for required messages of which the path fills something inside: they are there even if the body
// says nothing of them.
func (s *marks) claimInside(tree []wanted) {
	for i := range tree {
		if f := tree[i].field; tree[i].inner != nil && f.required {
			s.add(f)
		}
	}
}

// claimed is field for a message some of whose fields the path fills. What the body says of those is read, and dropped.
func (d *decoder) claimed(tree []wanted, f *field, filled *marks, start int) error {
	for i := range tree {
		switch {
		case tree[i].field != f:
			continue
		case tree[i].inner != nil:
			d.wanted = tree[i].inner
			err := d.field(f, filled, start)
			d.wanted = nil
			return err
		}
		if err := d.colon(); err != nil {
			return err
		}
		before := len(d.out)
		err := d.content(f)
		d.out = d.out[:before]
		return err
	}
	return d.field(f, filled, start)
}

// AppendRaw appends what stands before the bytes of a raw body in the request message: they must be its end.
func (r *Request) AppendRaw(dst []byte, contentType string, size int) []byte {
	var head []byte
	if contentType != "" {
		head = protowire.AppendTag(head, httpBodyContentType, protowire.BytesType)
		head = protowire.AppendString(head, contentType)
	}
	head = protowire.AppendTag(head, httpBodyData, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(size))
	if r.body.field != nil {
		dst = r.body.appendTags(dst, len(head)+size)
	}
	return append(dst, head...)
}
