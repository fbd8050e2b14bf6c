package main

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// bare is the schema without comments, as it is linked into programs.
func bare(t *testing.T) []byte {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add(configv1.File_cardea_config_v1_config_proto)
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDefaultThatNoCommentStatesIsAnError(t *testing.T) {
	_, err := load(bare(t))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"Admin.address", "Backend.load_balancing", "ClientCertificates.mode", "Limits.max_body_bytes", "Timeouts.call",
		"Reload.max_stream_age", "Config.drain_delay",
	} {
		if !strings.Contains(err.Error(), "cardea.config.v1."+field+": the comment states the default \"\"") {
			t.Errorf("%s is not mentioned", field)
		}
	}
}

func TestStatedDefault(t *testing.T) {
	for comment, want := range map[string]string{
		"How long. Absent: 10s. 0s is not allowed.":        "10s",
		"How long. Absent: 10s":                            "10s",
		"Most. 0: 10,000. More are closed.":                "10,000",
		"Largest. 0: 4 MiB, as in every library.":          "4 MiB",
		"Host and port. Empty: 127.0.0.1:9901.":            "127.0.0.1:9901",
		"Reflection. Absent is off.":                       "off",
		"TLS. Absent, cleartext.":                          "cleartext",
		"What. Unspecified: MODE_REQUIRED; nobody enters.": "MODE_REQUIRED",
		"Port 0 takes a free one.":                         "",
		"From 10: nothing.":                                "",
	} {
		if got := statedDefault(comment); got != want {
			t.Errorf("%s: %q", comment, got)
		}
	}
}

func TestSame(t *testing.T) {
	for _, tc := range []struct {
		text  string
		value any
		want  bool
	}{
		{"4 MiB", uint64(4 << 20), true},
		{"10,000", uint64(10_000), true},
		{"4 MB", uint64(4 << 20), false},
		{"3600s", "1h", true},
		{"3601s", "1h", false},
		{"ROUND_ROBIN", "LOAD_BALANCING_ROUND_ROBIN", true},
		{"ROBIN_ROUND", "LOAD_BALANCING_ROUND_ROBIN", false},
		{"127.0.0.1:9901", "127.0.0.1:9901", true},
		{"", "127.0.0.1:9901", false},
		{"", uint64(7), false},
	} {
		if got := same(tc.text, tc.value); got != tc.want {
			t.Errorf("%q, %v: %v", tc.text, tc.value, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1073741824: "1,073,741,824"} {
		if got := number(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
