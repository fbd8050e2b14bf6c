package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
)

func service(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "service.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadService(t *testing.T) {
	got, err := LoadService(service(t, `type: google.api.Service
config_version: 3
name: shop.example.com
http:
  fully_decode_reserved_expansion: true
  rules:
    - selector: shop.Shop.Get
      get: /v1/{name=items/*}
      response_body: item
      additional_bindings:
        - custom: {kind: HEAD, path: "/v1/items/{name}"}
    - selector: shop.Shop.Update
      patch: /v1/{item.name=items/*}
      body: item
documentation: {summary: whatever}
`))
	if err != nil {
		t.Fatal(err)
	}
	text := prototext.Format(got.HTTP())
	for _, want := range []string{`"shop.Shop.Get"`, `"/v1/{name=items/*}"`, `"HEAD"`, `"/v1/{item.name=items/*}"`, `"item"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if origin := got.Origin("http.rules[1]"); origin != "service.yaml:12" {
		t.Error(origin)
	}
	explained := got.Explain(At("http.rules[1].selector", errors.New("no such method")))
	if explained == nil || !strings.Contains(explained.Error(), "service.yaml:12:17 http.rules[1].selector: no such method") {
		t.Errorf("%v", explained)
	}
}

func TestLoadServiceRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\n":                            "there is no section http",
		"- http\n":                             "there is no section http",
		"http: {rules: [{selektor: a.B.C}]}\n": `service.yaml:1:17 unknown field "selektor"`,
		"http: {rules: {}}\n":                  "must be a list",
		"http: {rules: [{selector: a.B.C, get: /a, post: /b}]}\n": "get and post exclude each other; remove one",
		"http: [\n":                           "not valid YAML",
		"":                                    "service.yaml: the configuration is empty; it needs at least type: google.api.Service and http",
		"type: google.api.Servis\nhttp: {}\n": "service.yaml:1:7 type: must be google.api.Service",
		"http: {}\nname: x\nhttp: {}\n":       "service.yaml:3:1 http stands twice, the first time on line 1; remove one",
	} {
		if _, err := LoadService(service(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := LoadService(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
