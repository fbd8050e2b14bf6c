package frontend

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cardea-gateway/cardea/gateway/internal/route"
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
	// Linked is true if a generated handler for the method is part of this binary.
	Linked bool
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
	// MaxMessageBytes bounds a message, and a REST body, after decompression.
	MaxMessageBytes int
}

// plan finds the plan of a method by its full name on the wire, "/service/method".
func (t *Table) plan(path string) *Plan {
	if p, ok := t.Methods[path]; ok {
		return p
	}
	service, method, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || method == "" || strings.Contains(method, "/") || path[0] != '/' {
		return nil
	}
	return t.Services[service]
}
