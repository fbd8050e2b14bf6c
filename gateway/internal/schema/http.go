package schema

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cardea-gateway/cardea/gateway/internal/nearest"
	"github.com/cardea-gateway/cardea/gateway/internal/route"
)

// Rule is one way to call a method over REST.
type Rule struct {
	// HTTPMethod is the HTTP method.
	HTTPMethod string
	// Template is the path template.
	Template *route.Template
	// Body is the rule's body: "" for none, "*", or the path of a field.
	Body string
	// ResponseBody is the field of the response that is the answer's body: "" for the response itself.
	ResponseBody string
}

// SetRule gives a method a rule from a service configuration, in place of its own and of any that was set before: the last
// one wins (google/api/http.proto, message Http). It belongs to the making of a set.
func (s *Set) SetRule(rule *annotations.HttpRule) error {
	selector := rule.GetSelector()
	switch {
	case selector == "":
		return errors.New("a rule needs a selector, the full name of a method")
	case strings.Contains(selector, "*"):
		return fmt.Errorf("the selector %s: a rule is for one method, so it can't be a wildcard", selector)
	}
	found, err := s.FindDescriptorByName(protoreflect.FullName(selector))
	if _, ok := found.(protoreflect.MethodDescriptor); err != nil || !ok {
		return fmt.Errorf("the selector %s names no method of a known contract%s", selector, nearest.Hint(selector, s.methods()))
	}
	if s.rules == nil {
		s.rules = map[protoreflect.FullName]*annotations.HttpRule{}
	}
	s.rules[found.FullName()] = rule
	return nil
}

// methods returns the full names of all methods whose contract is known.
func (s *Set) methods() []string {
	var names []string
	for _, service := range s.Services() {
		methods := s.Service(service).Methods()
		for i := range methods.Len() {
			names = append(names, string(methods.Get(i).FullName()))
		}
	}
	return names
}

// Rules returns the HTTP rules of a method, additional bindings included; none where it has no annotation.
func (s *Set) Rules(method protoreflect.MethodDescriptor) ([]Rule, error) {
	main, where := s.rules[method.FullName()], "service configuration"
	if main == nil {
		main, _ = proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
		where = "google.api.http"
	}
	if main == nil {
		return nil, nil
	}
	var rules []Rule
	for i, each := range append([]*annotations.HttpRule{main}, main.GetAdditionalBindings()...) {
		rule, err := readRule(each)
		if i > 0 && len(each.GetAdditionalBindings()) > 0 {
			err = errors.New("an additional binding can't have additional bindings of its own")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", method.FullName(), where, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func readRule(rule *annotations.HttpRule) (Rule, error) {
	httpMethod, path := pattern(rule)
	if httpMethod == "" || path == "" {
		return Rule{}, errors.New("a rule needs an HTTP method and a path")
	}
	template, err := route.Parse(path)
	if err != nil {
		return Rule{}, err
	}
	return Rule{HTTPMethod: httpMethod, Template: template, Body: rule.GetBody(), ResponseBody: rule.GetResponseBody()}, nil
}

func pattern(rule *annotations.HttpRule) (httpMethod, path string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind(), p.Custom.GetPath()
	}
	return "", ""
}
