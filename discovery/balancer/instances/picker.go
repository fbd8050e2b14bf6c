package instances

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/metadata"
)

// Call is what a call tells the set, and what the set tells it. It must be safe for concurrent use.
type Call interface {
	// Unary tells whether the call takes one message and answers with one: only then does its duration say something.
	Unary() bool
	// Avoids tells whether the call should not go to an instance, as long as another one is fit.
	Avoids(address string) bool
	// HashKey is what calls have in common that should go to the same instance. Empty: nothing.
	HashKey() string
	// Answered is when the answer of the instance was complete, which may be long before the client has taken it; zero until then.
	Answered() time.Time
	// Picked is called with the address of the instance that was chosen. It may be called again, if that one could not be reached.
	Picked(address string)
}

type callKey struct{}

// WithCall returns a context whose call the set knows. Without it a call is taken for a stream, and chosen for as any other.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallOf returns the call of a context, or nil.
func CallOf(ctx context.Context) Call {
	c, _ := ctx.Value(callKey{}).(Call)
	return c
}

// repicks is how often the balancer inside may choose again for a call that wants another instance.
const repicks = 3

// picker chooses as the balancer inside does, but for what calls avoid.
type picker struct {
	w     *wrapper
	child balancer.Picker
}

// Pick chooses an instance for a call.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	call := CallOf(info.Ctx)
	if header := p.w.set.options.HashHeader; header != "" && call != nil {
		info.Ctx = withKey(info.Ctx, header, call.HashKey())
	}
	for range repicks {
		result, err := p.child.Pick(info)
		if err != nil {
			return result, err
		}
		c, ok := result.SubConn.(*conn)
		if !ok {
			return result, nil
		}
		if !c.instance.unwanted(call) {
			return p.send(info, call, c, result), nil
		}
		if other := p.other(call, c.instance); other != nil {
			release(result)
			return p.send(info, call, other, balancer.PickResult{}), nil
		}
		if c.instance.open.Load() { // There is no other.
			return p.send(info, call, c, result), nil
		}
		release(result)
	}
	p.w.waiting.Store(true)
	return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
}

// other returns a connection to another instance that is fit, any of them; nil if there is none.
func (p *picker) other(call Call, but *instance) *conn {
	open := p.w.open.Load()
	if open == nil || len(*open) == 0 {
		return nil
	}
	start := rand.IntN(len(*open)) //nolint:gosec // No secret.
	for n := range *open {
		i := (*open)[(start+n)%len(*open)]
		if i == but || i.unwanted(call) {
			continue
		}
		if c := i.main(); c != nil {
			return c
		}
	}
	return nil
}

// send is the pick of a call that goes to an instance.
func (p *picker) send(info balancer.PickInfo, call Call, c *conn, result balancer.PickResult) balancer.PickResult {
	c = p.w.spread(c)
	f := &flight{conn: c, call: call, began: time.Now(), inside: result.Done}
	if call != nil {
		call.Picked(c.instance.address)
		if call.Unary() {
			f.method = p.w.methods.of(info.FullMethodName)
		}
	}
	c.instance.begin(f)
	result.SubConn, result.Done = c.SubConn, f.done // grpc wants connections of its own.
	return result
}

// release takes back a pick that is not used.
func release(result balancer.PickResult) {
	if result.Done != nil {
		result.Done(balancer.DoneInfo{})
	}
}

// withKey returns a context in which the balancer inside finds the hash key of a call, and not one that a client made up. It is
// not sent.
func withKey(ctx context.Context, header, key string) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	if key == "" && len(md.Get(header)) == 0 {
		return ctx
	}
	md = md.Copy()
	md.Delete(header)
	if key != "" {
		md.Set(header, key)
	}
	return metadata.NewOutgoingContext(ctx, md)
}
