package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cardea-gateway/cardea/gateway/config"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// fallback is what holds where a field is left out.
type fallback struct {
	text  string // In words, for readers; may be empty.
	value any    // As JSON has it; nil where it depends on other fields, or where absence means something of its own.
}

// filled holds what the code fills in, by the full name of the field.
var filled = fillIn()

// fillIn lets the code fill in a configuration in which every message with defaults occurs, empty.
func fillIn() map[protoreflect.FullName]protoreflect.Value {
	cfg := &configv1.Config{
		Listeners: []*configv1.Listener{{Tls: &configv1.ListenerTls{ClientCertificates: &configv1.ClientCertificates{}}}},
		Backends:  []*configv1.Backend{{}},
		Consul:    &configv1.Consul{Register: &configv1.ConsulRegistration{}},
	}
	config.Default(cfg)
	values := map[protoreflect.FullName]protoreflect.Value{}
	var visit func(protoreflect.Message)
	visit = func(m protoreflect.Message) {
		m.Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			switch {
			case fd.IsList():
				visit(value.List().Get(0).Message())
			case fd.Message() != nil && !isDuration(fd):
				visit(value.Message())
			default:
				values[fd.FullName()] = value
			}
			return true
		})
	}
	visit(cfg.ProtoReflect())
	return values
}

// stated finds where a comment speaks of the default: "Absent: 10s." or "Absent is off." or "0: 4 MiB, as in ...".
var stated = regexp.MustCompile(`\b(?:Absent|Empty|Unspecified|0)(?::| is|,) `)

// statedDefault returns the default that a comment states: the first clause of what it says about absence.
func statedDefault(comment string) string {
	at := stated.FindStringIndex(comment)
	if at == nil {
		return ""
	}
	clause, _, _ := strings.Cut(comment[at[1]:], ". ")
	clause, _, _ = strings.Cut(clause, ", ")
	clause, _, _ = strings.Cut(clause, "; ")
	return strings.TrimSuffix(clause, ".")
}

// findFallback compares what the comment of a field states with what the code fills in.
func findFallback(f *field) (fallback, error) {
	text := statedDefault(f.comment)
	value, ok := filled[f.desc.FullName()]
	if !ok {
		return fallback{text: text}, nil
	}
	fixed := format(f.desc, value)
	if sibling := siblingIn(text, f.desc); sibling != nil && format(sibling, filled[sibling.FullName()]) == fixed {
		return fallback{text: text}, nil
	}
	if !same(text, fixed) {
		return fallback{}, fmt.Errorf("%s: the comment states the default %q, the code fills in %v", f.desc.FullName(), text, fixed)
	}
	return fallback{text: text, value: fixed}, nil
}

// siblingIn returns the field of the same message whose name a text ends in, or nil.
func siblingIn(text string, fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil
	}
	return fd.ContainingMessage().Fields().ByName(protoreflect.Name(words[len(words)-1]))
}

// format returns a value as JSON has it.
func format(fd protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch {
	case isDuration(fd):
		d, _ := value.Message().Interface().(*durationpb.Duration)
		return config.FormatDuration(d.AsDuration())
	case fd.Kind() == protoreflect.EnumKind:
		return string(fd.Enum().Values().ByNumber(value.Enum()).Name())
	case fd.Kind() == protoreflect.Uint32Kind:
		return value.Uint()
	default:
		return value.String()
	}
}

// same tells whether a comment means a value: 4 MiB is 4194304, 3600s is 1h, ROUND_ROBIN is LOAD_BALANCING_ROUND_ROBIN.
func same(text string, value any) bool {
	if number, ok := value.(uint64); ok {
		return parseBytes(text) == number
	}
	want := fmt.Sprint(value)
	if d, err := time.ParseDuration(text); err == nil {
		return config.FormatDuration(d) == want
	}
	return text == want || text != "" && strings.HasSuffix(want, "_"+text)
}

// parseBytes reads 100, 10,000 and 4 MiB; anything else is 0.
func parseBytes(text string) uint64 {
	figure, unit, _ := strings.Cut(strings.ReplaceAll(text, ",", ""), " ")
	n, err := strconv.ParseUint(figure, 10, 64)
	factor, ok := map[string]uint64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]
	if err != nil || !ok {
		return 0
	}
	return n * factor
}

// number writes a number in groups of three digits.
func number(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
