package config

import (
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// TestEveryFieldOfTheSchemaCanBeRead fails when the schema grows by something that decode and parse do not know yet.
func TestEveryFieldOfTheSchemaCanBeRead(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	var visit func(protoreflect.MessageDescriptor)
	visit = func(desc protoreflect.MessageDescriptor) {
		if seen[desc.FullName()] {
			return
		}
		seen[desc.FullName()] = true
		for i := range desc.Fields().Len() {
			field := desc.Fields().Get(i)
			if field.IsMap() || field.ContainingOneof() != nil {
				t.Errorf("%s: maps and choices are not read", field.FullName())
			}
			switch field.Kind() {
			case protoreflect.BoolKind, protoreflect.Uint32Kind, protoreflect.EnumKind, protoreflect.StringKind:
			case protoreflect.MessageKind:
				if !isDuration(field) {
					visit(field.Message())
				}
			default:
				t.Errorf("%s: %s is not read", field.FullName(), field.Kind())
			}
			if field.Message() != nil && !isDuration(field) && field.Message().FullName().Parent() == "google.protobuf" {
				t.Errorf("%s: %s is not read in its own form", field.FullName(), field.Message().FullName())
			}
		}
	}
	visit((&configv1.Config{}).ProtoReflect().Descriptor())
}

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "7": 7, "4194304": 4194304, "4Mi": 4 << 20, "64Ki": 64 << 10, "1Gi": 1 << 30, "1k": 1000, "2M": 2_000_000,
		"1G": 1_000_000_000, "1.5Ki": 1536, "0.5k": 500, "007": 7, "4.0": 4, "4294967295": 4294967295,
	} {
		if got, ok := parseNumber(text, 1<<32-1); !ok || got != want {
			t.Errorf("%s: got %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "-1", "+1", "1.5", "0.1Ki", "4294967296", "4Gi", "1e3", "0x10", "1_000", "1 k", "k", "1K", "1m", "1Ti", "١", ".5k", "5.k",
		"99999999999999999999999999999999",
	} {
		if got, ok := parseNumber(text, 1<<32-1); ok {
			t.Errorf("%s: got %d", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "1s": time.Second, "1m": time.Minute, "1m30s": 90 * time.Second, "1h": time.Hour, "1h30m": 90 * time.Minute,
		"10m": 10 * time.Minute, "20h": 20 * time.Hour, "1h0m1s": time.Hour + time.Second, "500ms": 500 * time.Millisecond,
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
