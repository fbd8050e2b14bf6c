package test

import (
	"os"
	"strings"
	"testing"
	"text/template"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// TestJSONSchemaAgreesWithTheLoader asks a JSON Schema validator, as editors do, and the loader. Of mistakes, the schema
// knows those within one field; it must not know any that are none.
func TestJSONSchemaAgreesWithTheLoader(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../gen/jsonschema/cardea.config.v1.Config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIZE", "4Mi")
	t.Setenv("ON", "true")
	t.Setenv("BALANCING", "LOAD_BALANCING_ROUND_ROBIN")
	valid := orderConfig("", "127.0.0.1:1")
	for name, tc := range map[string]struct {
		text string
		ok   bool
	}{
		"a small one":           {valid, true},
		"the demo's":            {demoConfig(t), true},
		"the guide's":           {guideConfig(t), true},
		"sizes with units":      {valid + "limits: {max_message_bytes: 4Mi, max_header_bytes: 1.5Ki, max_headers: 7}\n", true},
		"durations":             {valid + "timeouts: {call: 1m30s, stream_idle: 500ms, connection_age: 1.5h}\n", true},
		"JSON names":            {valid + "accessLog: {disabled: true}\nlimits: {maxHeaders: 7}\n", true},
		"variables":             {valid + "limits: {max_message_bytes: \"${SIZE}\"}\nreflection: {enabled: \"${ON}\"}\ndrain_timeout: ${TIME:-3s}\n", true},
		"variable in an enum":   {strings.Replace(valid, "    services:", "    load_balancing: ${BALANCING}\n    services:", 1), true},
		"variable in a pattern": {strings.Replace(valid, "127.0.0.1:0", "${ADDRESS:-127.0.0.1:0}", 1), true},
		"TLS": {strings.Replace(valid, "127.0.0.1:0", `127.0.0.1:0
    tls:
      certificates: [{certificate_file: a.pem, private_key_file: a.key}]
      client_certificates: {ca_file: ca.pem, mode: MODE_OPTIONAL}
    proxy_protocol: {trusted_networks: [10.0.0.0/8]}
    backends: [order]`, 1), true},

		"unknown field":          {valid + "kind: red\n", false},
		"unknown field below":    {strings.Replace(valid, "target:", "targets:", 1), false},
		"JSON name misspelled":   {valid + "accesslog: {disabled: true}\n", false},
		"nothing":                {"{}\n", false},
		"no backends":            {"listeners: [{address: \":80\"}]\n", false},
		"no address":             {strings.Replace(valid, "- address: 127.0.0.1:0", "- {}", 1), false},
		"empty list":             {"listeners: []\nbackends: []\n", false},
		"address without a port": {strings.Replace(valid, "127.0.0.1:0", "localhost", 1), false},
		"target without scheme":  {strings.Replace(valid, "static:///", "", 1), false},
		"text for a list":        {"listeners: \":80\"\n", false},
		"text for a number":      {valid + "limits: {max_headers: many}\n", false},
		"unit of its own":        {valid + "limits: {max_message_bytes: 4MB}\n", false},
		"negative number":        {valid + "limits: {max_headers: -1}\n", false},
		"number out of range":    {valid + "limits: {max_headers: 10001}\n", false},
		"text for truth":         {valid + "reflection: {enabled: perhaps}\n", false},
		"duration without unit":  {valid + "drain_timeout: 30\n", false},
		"duration in days":       {valid + "drain_timeout: 1d\n", false},
		"negative duration":      {valid + "drain_timeout: -1s\n", false},
		"unknown enum value":     {strings.Replace(valid, "    services:", "    load_balancing: FASTEST\n    services:", 1), false},
		"entry twice":            {strings.Replace(valid, "127.0.0.1:0", "127.0.0.1:0\n    backends: [order, order]", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			var value any
			if err := yaml.Unmarshal([]byte(tc.text), &value); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); (err == nil) != tc.ok {
				t.Errorf("the schema says %v", err)
			}
			if code, _, stderr := run(t, "config", "--config", writeConfig(t, tc.text)); (code == 0) != tc.ok {
				t.Errorf("the loader says %d %s", code, stderr)
			}
		})
	}
}

// demoConfig fills in the template of the demo.
func demoConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../cmd/cardea/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type backend struct{ Name, Service, Target string }
	var out strings.Builder
	err = template.Must(template.New("demo").Parse(string(text))).Execute(&out, map[string]any{
		"Listen": "127.0.0.1:8080", "Admin": "127.0.0.1:9901", "AccessLog": true, "Consul": "127.0.0.1:8500",
		"Backends": []backend{{"order", "food.order.v1.OrderService", "static:///127.0.0.1:1,127.0.0.1:2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// guideConfig returns the complete example of the guide.
func guideConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(text), "```yaml\n")
	example, _, closed := strings.Cut(example, "```\n")
	if !found || !closed {
		t.Fatal("the guide has no example")
	}
	return example
}
