package schema

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
)

// Policies merges what contracts and configuration ask of the gateway.
type Policies struct {
	base  *Policies
	rules []*configv1.PolicyRule
	used  map[string]bool
}

// NewPolicies returns the policies of a configuration.
func NewPolicies(rules []*configv1.PolicyRule) *Policies {
	return &Policies{rules: rules, used: map[string]bool{}}
}

// With returns the policies of one listener, whose rules override those of the configuration.
func (p *Policies) With(rules []*configv1.PolicyRule) *Policies {
	return &Policies{base: p, rules: rules, used: map[string]bool{}}
}

// For returns the policy of a method: the service's option, overridden by the method's, overridden by the configuration's
// rules, the longest selector last, overridden by the listener's in the same way. Each kind of policy is replaced whole.
// Service and method are nil where the contract is not known.
func (p *Policies) For(fullName string, service protoreflect.ServiceDescriptor, method protoreflect.MethodDescriptor) *policyv1.Policy {
	merged := &policyv1.Policy{}
	if service != nil {
		override(merged, proto.GetExtension(service.Options(), policyv1.E_Service))
	}
	if method != nil {
		override(merged, proto.GetExtension(method.Options(), policyv1.E_Method))
	}
	p.apply(merged, fullName)
	return merged
}

func (p *Policies) apply(merged *policyv1.Policy, fullName string) {
	if p.base != nil {
		p.base.apply(merged, fullName)
	}
	for _, m := range p.matching(fullName) {
		override(merged, m.rule.GetPolicy())
	}
}

type match struct {
	selector string
	rule     *configv1.PolicyRule
}

// matching returns the rules whose selector matches, in the order in which they override each other.
func (p *Policies) matching(fullName string) []match {
	var found []match
	for _, rule := range p.rules {
		for _, selector := range rule.GetSelectors() {
			if Selects(selector, fullName) {
				p.used[selector] = true
				found = append(found, match{selector, rule})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return specificity(a.selector) - specificity(b.selector) })
	return found
}

// specificity orders selectors: an exact name beats every wildcard, a longer wildcard a shorter one.
func specificity(selector string) int {
	if strings.HasSuffix(selector, "*") {
		return len(selector)
	}
	return 1 << 20
}

// Exact returns the names of the methods of a service that selectors name in full, each once.
func (p *Policies) Exact(service string) []string {
	var names []string
	if p.base != nil {
		names = p.base.Exact(service)
	}
	for _, rule := range p.rules {
		for _, selector := range rule.GetSelectors() {
			name, ok := strings.CutPrefix(selector, service+".")
			if ok && name != "*" && !strings.Contains(name, ".") && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// Selector is one selector of a configuration, and where it stands: policies[Rule].selectors[Index].
type Selector struct {
	Rule, Index int
	Text        string
}

// Unused returns the selectors that matched none of the methods asked for: misspelled ones, as a rule. Those of a base
// are not among them.
func (p *Policies) Unused() []Selector {
	var unused []Selector
	for i, rule := range p.rules {
		for j, selector := range rule.GetSelectors() {
			if !p.used[selector] {
				unused = append(unused, Selector{Rule: i, Index: j, Text: selector})
			}
		}
	}
	return unused
}

// Selects tells whether a selector matches a full method name such as pkg.v1.Service.Method.
func Selects(selector, fullName string) bool {
	if prefix, ok := strings.CutSuffix(selector, "*"); ok {
		return strings.HasPrefix(fullName, prefix)
	}
	return selector == fullName
}

// override replaces in merged each kind of policy that other sets.
func override(merged *policyv1.Policy, other any) {
	policy, ok := other.(*policyv1.Policy)
	if !ok {
		return
	}
	policy.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		merged.ProtoReflect().Set(field, value)
		return true
	})
}
