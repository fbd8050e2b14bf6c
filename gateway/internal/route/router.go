package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// AnyMethod is the method of a route that answers to every HTTP method. A route that names the method comes first.
const AnyMethod = "*"

// Builder collects routes for a [Router]. Get one from [NewBuilder]. It must not be used by two goroutines at a time.
type Builder[T any] struct {
	router *Router[T] // nil once it was built
}

// NewBuilder returns a builder without routes.
func NewBuilder[T any]() *Builder[T] {
	return &Builder[T]{router: &Router[T]{verbs: map[string]*node[T]{}}}
}

// Add adds a route. The method is an HTTP method of any name, or [AnyMethod]. It fails, and adds nothing, if the method
// is not a token of RFC 9110, if the method and the shape of the template are those of a route that was added before
// (shape is the template without the names of its variables), which is a *[ConflictError], or after Build.
func (b *Builder[T]) Add(method string, t *Template, value T) error {
	if b.router == nil {
		return errors.New("route: Add after Build")
	}
	if !isToken(method) {
		return fmt.Errorf("route: %q for %s is not an HTTP method", method, t)
	}
	place := b.router.place(t)
	for _, e := range *place {
		if e.method == method {
			return &ConflictError[T]{Method: method, Template: t, Other: e.template, Value: e.value}
		}
	}
	*place = append(*place, &route[T]{method: method, template: t, value: value})
	return nil
}

// ConflictError says that no path could tell two routes apart.
type ConflictError[T any] struct {
	// Method is that of both.
	Method string
	// Template is that of the route that was to be added.
	Template *Template
	// Other and Value are those of the route that was there before.
	Other *Template
	Value T
}

// Error returns method and templates in one line.
func (e *ConflictError[T]) Error() string {
	return fmt.Sprintf("route: %s %s and %s %s match the same paths; change one of them", e.Method, e.Other, e.Method, e.Template)
}

// Build returns the router. The builder is spent: it takes no further routes, and another Build returns nil.
func (b *Builder[T]) Build() *Router[T] {
	r := b.router
	b.router = nil
	return r
}

// Router finds routes by method and path. It is immutable and safe for concurrent use. Get one from [Builder.Build]; the
// zero value matches nothing.
type Router[T any] struct {
	plain node[T]             // routes without a verb
	verbs map[string]*node[T] // routes with one, by verb
}

// node is a place in the tree, reached by a sequence of segments.
type node[T any] struct {
	literals map[string]*node[T]
	star     *node[T]
	here     routes[T] // templates that end here
	rest     routes[T] // templates that end here with **
}

// routes have one shape and differ in the method.
type routes[T any] []*route[T]

type route[T any] struct {
	method   string
	template *Template
	value    T
}

// place returns where in the tree the routes of a template's shape are kept.
func (r *Router[T]) place(t *Template) *routes[T] {
	n := &r.plain
	if t.verb != "" {
		n = child(r.verbs, t.verb)
	}
	for _, s := range t.segments {
		switch s.kind {
		case restSegment:
			return &n.rest
		case starSegment:
			n = n.starChild()
		case literalSegment:
			n = n.literalChild(s.literal)
		}
	}
	return &n.here
}

func (n *node[T]) starChild() *node[T] {
	if n.star == nil {
		n.star = &node[T]{}
	}
	return n.star
}

func (n *node[T]) literalChild(text string) *node[T] {
	if n.literals == nil {
		n.literals = map[string]*node[T]{}
	}
	return child(n.literals, text)
}

func child[T any](m map[string]*node[T], key string) *node[T] {
	if m[key] == nil {
		m[key] = &node[T]{}
	}
	return m[key]
}

// Hot path: from here to Methods, no lock and no allocation.

// Match returns the value of the route that a request addresses, and whether there is one. The path is the raw one of
// the request, escapes included and without the query. Captures, which must not be nil, then gives the template and the
// values of its variables; they refer to rawPath. Without a match, [Captures.Err] tells a malformed path from an unknown
// one, and [Router.Methods] an unknown path from a wrong method.
func (r *Router[T]) Match(method, rawPath string, captures *Captures) (T, bool) {
	found := r.match(method, rawPath, captures)
	if found == nil {
		var zero T
		return zero, false
	}
	captures.template = found.template
	return found.value, true
}

func (r *Router[T]) match(method, rawPath string, c *Captures) *route[T] {
	if !c.split(rawPath) {
		return nil
	}
	if n, colon := r.verbOf(c); n != nil {
		whole := c.cut(colon)
		if found := n.find(c, 0, method); found != nil {
			return found
		}
		c.restore(whole)
	}
	return r.plain.find(c, 0, method)
}

// verbOf returns the tree of the verb in which the path ends, and where its colon is; nil if no route has that verb.
func (r *Router[T]) verbOf(c *Captures) (*node[T], int) {
	if len(r.verbs) == 0 {
		return nil, -1
	}
	colon := c.colon()
	if colon < 0 {
		return nil, -1
	}
	raw := c.path[colon+1:]
	if strings.IndexByte(raw, '%') < 0 {
		return r.verbs[raw], colon
	}
	n := len(c.text)
	text, _ := appendDecoded(c.text, raw, false) // cannot fail: split has decoded the whole segment
	c.text = text[:n]                            // keeps what was grown
	return r.verbs[string(text[n:])], colon
}

// find looks for a route below n for the segments from depth on.
func (n *node[T]) find(c *Captures, depth int, method string) *route[T] {
	if depth == len(c.segments) {
		if found := n.here.find(method); found != nil {
			return found
		}
		return n.rest.find(method)
	}
	s := &c.segments[depth]
	if next := n.literal(c, s); next != nil {
		if found := next.find(c, depth+1, method); found != nil {
			return found
		}
	}
	if n.star != nil && s.start < s.end {
		if found := n.star.find(c, depth+1, method); found != nil {
			return found
		}
	}
	return n.rest.find(method)
}

func (n *node[T]) literal(c *Captures, s *span) *node[T] {
	if s.escaped {
		return n.literals[string(c.text[s.from:s.to])]
	}
	return n.literals[c.path[s.start:s.end]]
}

func (rs routes[T]) find(method string) *route[T] {
	var fallback *route[T]
	for _, r := range rs {
		switch r.method {
		case method:
			return r
		case AnyMethod:
			fallback = r
		}
	}
	return fallback
}

// Methods returns the methods with which a path would match, sorted, each once, for the Allow header of a refusal. It
// includes [AnyMethod] if a route of that kind matches. It is empty for an unknown and for a malformed path.
func (r *Router[T]) Methods(rawPath string) []string {
	var c Captures
	if !c.split(rawPath) {
		return nil
	}
	methods := r.plain.appendMethods(nil, &c, 0)
	if n, colon := r.verbOf(&c); n != nil {
		c.cut(colon)
		methods = n.appendMethods(methods, &c, 0)
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

// appendMethods walks every branch that matches.
func (n *node[T]) appendMethods(dst []string, c *Captures, depth int) []string {
	dst = n.rest.appendMethods(dst)
	if depth == len(c.segments) {
		return n.here.appendMethods(dst)
	}
	s := &c.segments[depth]
	if next := n.literal(c, s); next != nil {
		dst = next.appendMethods(dst, c, depth+1)
	}
	if n.star != nil && s.start < s.end {
		dst = n.star.appendMethods(dst, c, depth+1)
	}
	return dst
}

func (rs routes[T]) appendMethods(dst []string) []string {
	for _, r := range rs {
		dst = append(dst, r.method)
	}
	return dst
}

// isToken accepts the token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !isIdent(s[i]) && strings.IndexByte("!#$%&'*+-.^`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
