package frontend

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cardea-gateway/cardea/gateway/internal/route"
	"github.com/cardea-gateway/cardea/gateway/internal/transcode"
	"github.com/cardea-gateway/cardea/policies/call"
)

// Types resolves messages and extensions by name.
type Types interface {
	protoregistry.MessageTypeResolver
	protoregistry.ExtensionTypeResolver
}

// Plan is what a front end knows of one method: facts, and the chain that runs its calls.
type Plan struct {
	// Method holds the facts.
	Method *call.Method
	// Handler is the folded chain: policies first, the proxy (or whatever answers) at its end.
	Handler grpc.StreamHandler
	// Until ends streams that would go on for as long as their client likes: with its cause, when it is over. Nil never is.
	Until context.Context //nolint:containedctx // Its life is not that of a call.
	// WantsMetadata is true if the chain holds an interceptor that is not Cardea's own and may look for metadata in the
	// context. Copying it costs more than most policies.
	WantsMetadata bool
}

// Binding is one way to call a method over REST.
type Binding struct {
	// Plan is the method's.
	Plan *Plan
	// HTTPMethod is the method that the binding answers to.
	HTTPMethod string
	// Template is the path template.
	Template *route.Template
	// Body is the rule's body field: "" for none, "*" for all fields that the path does not bind, or a field's name.
	Body string
	// Request and Response are the rule's programs.
	Request  *transcode.Request
	Response *transcode.Response
	// Generated is true if a generated handler that is part of this binary serves the binding, rather than the programs.
	Generated bool
}

// muxPath returns a path that leads the generated mux to the handler of the binding.
func (b *Binding) muxPath() string { return b.Template.Example() }

// Table is what front ends look calls up in. It is immutable: a reload makes another one.
type Table struct {
	// Owner is whoever made the table, for the one who hands it out.
	Owner any
	// Methods holds plans by full name on the wire.
	Methods map[string]*Plan
	// Services holds the plans of services whose contract is not known, by service name.
	Services map[string]*Plan
	// Routes finds bindings by HTTP method and path. Nil has none.
	Routes *route.Router[*Binding]
	// Mount holds the generated handlers. Nil where no binding is linked.
	Mount *Mount
	// Types resolves the details of errors, and what Any fields hold.
	Types Types
	// Limits bound what a request may cost.
	Limits Limits
	// Timeouts bound how long it may take.
	Timeouts Timeouts
	// TrustedProxies are networks of proxies whose word about their clients is believed.
	TrustedProxies []netip.Prefix
}

// Limits bound what a request may cost. 0 is no limit, but for messages and bodies.
type Limits struct {
	// MaxMessageBytes bounds a message after decompression.
	MaxMessageBytes int
	// MaxBodyBytes bounds the body of a REST request.
	MaxBodyBytes int
	// MaxHeaders bounds the number of header fields.
	MaxHeaders int
	// MaxURLBytes bounds path and query together.
	MaxURLBytes int
}

// Timeouts bound how long a request may take. 0 is no limit.
type Timeouts struct {
	// RequestBody is for the one message of a call, or the body of a REST request, to arrive.
	RequestBody time.Duration
	// Call is the deadline of calls that don't stream and whose client sets none.
	Call time.Duration
	// MaxCall is the longest deadline that a client may set.
	MaxCall time.Duration
	// StreamIdle is how long a stream may be without a message in either direction.
	StreamIdle time.Duration
}

// plan finds the plan of a method by its full name on the wire, "/service/method", and by nothing but that.
func (t *Table) plan(path string) *Plan {
	if p, ok := t.Methods[path]; ok {
		return p
	}
	if !isMethodPath(path) {
		return nil
	}
	return t.Services[path[1:strings.LastIndexByte(path, '/')]]
}
