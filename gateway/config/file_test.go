package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cardea-gateway/cardea/gateway/config"
)

func TestExplainShowsThePlaceOfWhatWasFoundLater(t *testing.T) {
	file, err := config.Parse("gateway.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("no such host")
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"a field": {
			config.At("backends[0].target", cause),
			"gateway.yaml:5:13 backends[0].target: no such host\n   5 |     target: static:///127.0.0.1:50051\n   5 | ............^",
		},
		"a field that the file leaves out": {
			config.At("backends[0].load_balancing", cause),
			"gateway.yaml:4:5 backends[0].load_balancing: no such host\n   4 |   - name: orders\n   4 | ....^",
		},
		"no field": {cause, "gateway.yaml: no such host"},
		"several, joined twice": {
			errors.Join(errors.Join(cause, cause), cause),
			strings.TrimSuffix(strings.Repeat("gateway.yaml: no such host\n", 3), "\n"),
		},
	} {
		got := file.Explain(tc.err)
		if diff := cmp.Diff(tc.want, got.Error()); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
		if !errors.Is(got, cause) {
			t.Errorf("%s: the cause got lost", name)
		}
	}
	if file.Explain(nil) != nil || config.At("x", nil) != nil {
		t.Error("nothing is explained")
	}
}
