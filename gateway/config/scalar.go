package config

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cardea-gateway/cardea/gateway/internal/nearest"
)

func isDuration(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && field.Message().FullName() == "google.protobuf.Duration"
}

// expected says what a field takes.
func expected(field protoreflect.FieldDescriptor) string {
	if isDuration(field) {
		return "a duration in h, m, s or ms, such as 30s or 1m30s"
	}
	switch field.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.Uint32Kind:
		return fmt.Sprintf("a whole number up to %d, such as 100, 64Ki or 4Mi", uint32(math.MaxUint32))
	case protoreflect.EnumKind:
		return "one of " + strings.Join(enumNames(field.Enum()), ", ")
	default:
		return "text"
	}
}

// parse reads a value of the kinds that the schema uses.
func parse(field protoreflect.FieldDescriptor, text string) (value protoreflect.Value, ok bool) {
	if isDuration(field) {
		d, err := time.ParseDuration(text)
		return protoreflect.ValueOfMessage(durationpb.New(d).ProtoReflect()), err == nil
	}
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(text == "true"), text == "true" || text == "false"
	case protoreflect.Uint32Kind:
		number, ok := parseNumber(text, math.MaxUint32)
		return protoreflect.ValueOfUint32(uint32(number)), ok
	case protoreflect.EnumKind:
		if named := field.Enum().Values().ByName(protoreflect.Name(text)); named != nil {
			return protoreflect.ValueOfEnum(named.Number()), true
		}
		return value, false
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), true
	default:
		return value, false
	}
}

var (
	number = regexp.MustCompile(`^([0-9]{1,20}(?:\.[0-9]{1,20})?)(k|Ki|M|Mi|G|Gi)?$`)
	units  = map[string]int64{"": 1, "k": 1e3, "Ki": 1 << 10, "M": 1e6, "Mi": 1 << 20, "G": 1e9, "Gi": 1 << 30}
)

// parseNumber reads a whole number such as 4194304, 4Mi or 1.5Ki.
func parseNumber(text string, limit uint64) (uint64, bool) {
	parts := number.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	value, ok := new(big.Rat).SetString(parts[1])
	if !ok {
		return 0, false
	}
	value.Mul(value, new(big.Rat).SetInt64(units[parts[2]]))
	if !value.IsInt() || !value.Num().IsUint64() || value.Num().Uint64() > limit {
		return 0, false
	}
	return value.Num().Uint64(), true
}

// guess is the end of a message about a value: what was probably meant.
func guess(field protoreflect.FieldDescriptor, text string) string {
	if field.Kind() != protoreflect.EnumKind {
		return ""
	}
	return nearest.Hint(text, enumNames(field.Enum()))
}

// enumNames returns the names of an enum but the first one, which stands for the default.
func enumNames(desc protoreflect.EnumDescriptor) []string {
	var names []string
	for i := 1; i < desc.Values().Len(); i++ {
		names = append(names, string(desc.Values().Get(i).Name()))
	}
	return names
}

// FormatDuration returns the shortest form that configuration files may have: 1h rather than 1h0m0s. It is safe for concurrent use.
func FormatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
