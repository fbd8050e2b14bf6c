package config

import (
	"errors"
	"strconv"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// validate applies the rules of the schema to what was written: defaults obey them.
func (d *document) validate(cfg *configv1.Config) {
	err := protovalidate.Validate(cfg)
	var broken *protovalidate.ValidationError
	if !errors.As(err, &broken) {
		d.problems.addPlain(err) // The rules themselves are wrong, or there is nothing wrong at all.
		return
	}
	for _, v := range broken.Violations {
		path := protovalidate.FieldPathString(v.Proto.GetField())
		if v.Proto.GetRuleId() == "repeated.unique" {
			d.refuseTwice(path, v.FieldValue.List())
			continue
		}
		d.refuse(path, "%s", ruleMessage(v))
	}
}

// ruleMessage says what a rule allows; for most rules protovalidate does.
func ruleMessage(v *protovalidate.Violation) string {
	switch v.Proto.GetRuleId() {
	case "required":
		return "is missing"
	case "repeated.min_items":
		return "needs at least one entry"
	case "string.min_len":
		return "is missing or empty"
	default:
		return v.Proto.GetMessage()
	}
}

// refuseTwice points at the first entry of a list that stands there before.
func (d *document) refuseTwice(path string, list protoreflect.List) {
	seen := map[string]bool{}
	for i := range list.Len() {
		text := list.Get(i).String()
		if seen[text] {
			d.refuse(path+"["+strconv.Itoa(i)+"]", "%s stands twice; remove one", text)
		}
		seen[text] = true
	}
}
