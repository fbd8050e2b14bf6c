package schema

import (
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

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

// Rules returns the HTTP rules of a method, additional bindings included; none where it has no annotation.
func Rules(method protoreflect.MethodDescriptor) ([]Rule, error) {
	main, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || main == nil {
		return nil, nil
	}
	var rules []Rule
	for _, each := range append([]*annotations.HttpRule{main}, main.GetAdditionalBindings()...) {
		rule, err := readRule(each)
		if err != nil {
			return nil, fmt.Errorf("%s: google.api.http: %w", method.FullName(), err)
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
