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
	// Origin says where the rule stands: google.api.http for the option of the method, or a place in a service configuration.
	Origin string
}

// Selected returns the method that a rule of a service configuration is for.
func (s *Set) Selected(rule *annotations.HttpRule) (protoreflect.MethodDescriptor, error) {
	selector := rule.GetSelector()
	switch {
	case selector == "":
		return nil, errors.New("a rule needs a selector, the full name of a method")
	case strings.Contains(selector, "*"):
		return nil, fmt.Errorf("the selector %s: a rule is for one method, so it can't be a wildcard", selector)
	}
	if method := s.method(protoreflect.FullName(selector)); method != nil {
		return method, nil
	}
	return nil, fmt.Errorf("the selector %s names no method of a known contract%s", selector, nearest.Hint(selector, s.methods()))
}

// SetRule gives a method a rule from a service configuration, in place of its own and of any that was set before: the last
// one wins (google/api/http.proto, message Http). The origin is the place of the rule. It belongs to the making of a set.
func (s *Set) SetRule(method protoreflect.MethodDescriptor, rule *annotations.HttpRule, origin string) error {
	rules, err := readRules(rule, origin)
	if err != nil {
		return err
	}
	s.rules[method.FullName()] = rules
	return nil
}

// method returns a method by its full name; nil where it is not known.
func (s *Set) method(name protoreflect.FullName) protoreflect.MethodDescriptor {
	service := s.Service(string(name.Parent()))
	if service == nil {
		return nil
	}
	return service.Methods().ByName(name.Name())
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
	if rules := s.rules[method.FullName()]; rules != nil {
		return rules, nil
	}
	main, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || main == nil {
		return nil, nil
	}
	rules, err := readRules(main, "google.api.http")
	if err != nil {
		return nil, fmt.Errorf("%s: google.api.http: %w", method.FullName(), err)
	}
	return rules, nil
}

func readRules(main *annotations.HttpRule, origin string) ([]Rule, error) {
	var rules []Rule
	for i, each := range append([]*annotations.HttpRule{main}, main.GetAdditionalBindings()...) {
		if i > 0 && len(each.GetAdditionalBindings()) > 0 {
			return nil, errors.New("an additional binding can't have additional bindings of its own")
		}
		rule, err := readRule(each)
		if err != nil {
			return nil, err
		}
		rule.Origin = origin
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
