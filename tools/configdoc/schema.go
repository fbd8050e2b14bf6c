package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cardea-gateway/cardea/gateway/config"
)

const root = "cardea.config.v1.Config"

// schema is the configuration as readers see it: the messages and enums, in the order in which the root leads to them.
type schema struct {
	messages []*message
	enums    []protoreflect.EnumDescriptor
}

type message struct {
	desc    protoreflect.MessageDescriptor
	comment string
	fields  []*field
}

type field struct {
	desc     protoreflect.FieldDescriptor
	comment  string
	rules    *validate.FieldRules // Never nil.
	required bool
	fallback fallback
}

// load reads the schema out of a descriptor image.
func load(image []byte) (*schema, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(image, set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	found, err := files.FindDescriptorByName(root)
	if err != nil {
		return nil, err
	}
	desc, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no message", root)
	}
	s := &schema{}
	return s, s.add(desc)
}

// add adds a message and all that it leads to.
func (s *schema) add(desc protoreflect.MessageDescriptor) error {
	if slices.ContainsFunc(s.messages, func(m *message) bool { return m.desc == desc }) {
		return nil
	}
	m := &message{desc: desc, comment: comment(desc)}
	s.messages = append(s.messages, m)
	required, err := requiredFields(desc)
	if err != nil {
		return err
	}
	var failures []error
	for i := range desc.Fields().Len() {
		fd := desc.Fields().Get(i)
		f := &field{desc: fd, comment: comment(fd), rules: fieldRules(fd), required: required[string(fd.Name())]}
		f.fallback, err = findFallback(f)
		failures = append(failures, err)
		m.fields = append(m.fields, f)
		if fd.Message() != nil && !isDuration(fd) {
			failures = append(failures, s.add(fd.Message()))
		}
		if fd.Enum() != nil && !slices.Contains(s.enums, fd.Enum()) {
			s.enums = append(s.enums, fd.Enum())
		}
	}
	return errors.Join(failures...)
}

// requiredFields are those that an empty message lacks.
func requiredFields(desc protoreflect.MessageDescriptor) (map[string]bool, error) {
	err := protovalidate.Validate(dynamicpb.NewMessage(desc))
	var broken *protovalidate.ValidationError
	if !errors.As(err, &broken) {
		return nil, err
	}
	required := map[string]bool{}
	for _, v := range broken.Violations {
		required[protovalidate.FieldPathString(v.Proto.GetField())] = true
	}
	return required, nil
}

func fieldRules(fd protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	if rules == nil {
		return &validate.FieldRules{}
	}
	return rules
}

// single returns the rules for one value: those of the entries, for a list.
func (f *field) single() *validate.FieldRules {
	if f.desc.IsList() {
		return f.rules.GetRepeated().GetItems()
	}
	return f.rules
}

// comment returns the comment in front of a descriptor, on one line.
func comment(desc protoreflect.Descriptor) string {
	location := desc.ParentFile().SourceLocations().ByDescriptor(desc)
	return strings.Join(strings.Fields(location.LeadingComments), " ")
}

func isDuration(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Duration"
}

// constraints says what the rules of a field ask for, as clauses.
func (f *field) constraints() []string {
	var all []string
	if f.rules.GetRepeated().GetMinItems() == 1 {
		all = append(all, "needs at least one entry")
	}
	if f.rules.GetRepeated().GetUnique() {
		all = append(all, "no entry stands twice")
	}
	rules := f.single()
	for _, rule := range rules.GetCel() {
		all = append(all, rule.GetMessage())
	}
	if rules.GetString().GetMinLen() == 1 {
		all = append(all, "must not be empty")
	}
	if rules.GetUint32().HasLte() {
		all = append(all, "at most "+number(uint64(rules.GetUint32().GetLte())))
	}
	return append(all, durationRange(rules.GetDuration())...)
}

func durationRange(rules *validate.DurationRules) []string {
	var all []string
	if rules.HasGt() {
		all = append(all, "more than "+config.FormatDuration(rules.GetGt().AsDuration()))
	}
	if rules.HasLte() {
		all = append(all, "at most "+config.FormatDuration(rules.GetLte().AsDuration()))
	}
	return all
}
