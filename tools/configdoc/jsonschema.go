package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// object is a part of a JSON Schema. Draft 7 is what every editor knows.
type object = map[string]any

// Patterns of what the loader reads. A value that refers to the environment is whatever comes of it.
const (
	variable = `\$\{`
	figures  = `^[0-9]+(\.[0-9]+)?(k|Ki|M|Mi|G|Gi)?$|` + variable
	duration = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|` + variable
	truth    = `^(true|false)$|` + variable
)

// jsonSchema writes the JSON Schema for editors.
func jsonSchema(s *schema) ([]byte, error) {
	definitions := object{}
	for _, m := range s.messages {
		definitions[string(m.desc.FullName())] = messageSchema(m)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(object{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"$comment":    "Written by tools/generate from proto/cardea/config/v1/config.proto. Do not edit.",
		"$ref":        "#/definitions/" + root,
		"definitions": definitions,
	})
	return out.Bytes(), err
}

func messageSchema(m *message) object {
	properties, other, required := object{}, object{}, []string{}
	for _, f := range m.fields {
		name := string(f.desc.Name())
		properties[name] = f.schema()
		if f.required {
			required = append(required, name)
		}
		if f.desc.JSONName() != name { // Read as well, and not proposed to those who write.
			other["^"+f.desc.JSONName()+"$"] = object{"$ref": fmt.Sprintf("#/definitions/%s/properties/%s", m.desc.FullName(), name)}
		}
	}
	result := object{
		"type": "object", "description": m.comment, "additionalProperties": false, "properties": properties,
	}
	if len(other) > 0 {
		result["patternProperties"] = other
	}
	if len(required) > 0 {
		result["required"] = required
	}
	return result
}

func (f *field) schema() object {
	result := f.valueSchema()
	if f.desc.IsList() {
		result = object{"type": "array", "items": result}
		if f.rules.GetRepeated().GetMinItems() > 0 {
			result["minItems"] = f.rules.GetRepeated().GetMinItems()
		}
		if f.rules.GetRepeated().GetUnique() {
			result["uniqueItems"] = true
		}
	}
	result["description"] = f.comment
	if f.fallback.value != nil {
		result["default"] = f.fallback.value
	}
	return result
}

// valueSchema is the schema of one value: of an entry, for a list.
func (f *field) valueSchema() object {
	fd := f.desc
	switch {
	case isDuration(fd):
		return text(duration)
	case fd.Message() != nil:
		// Draft 7 allows nothing beside $ref.
		return object{"allOf": []object{{"$ref": "#/definitions/" + string(fd.Message().FullName())}}}
	case fd.Kind() == protoreflect.BoolKind:
		return either(object{"type": "boolean"}, text(truth))
	case fd.Kind() == protoreflect.Uint32Kind:
		return either(object{"type": "integer", "minimum": 0, "maximum": f.largest()}, text(figures))
	case fd.Kind() == protoreflect.EnumKind:
		var names []string
		for i := range fd.Enum().Values().Len() {
			names = append(names, string(fd.Enum().Values().Get(i).Name()))
		}
		return either(object{"enum": names[1:]}, object{"const": names[0]}, text(variable))
	default:
		return f.textSchema()
	}
}

func (f *field) largest() uint32 {
	if rules := f.single().GetUint32(); rules.HasLte() {
		return rules.GetLte()
	}
	return math.MaxUint32
}

// matches finds the pattern in a rule that is nothing but a pattern.
var matches = regexp.MustCompile(`^this\.matches\('([^']*)'\)$`)

func (f *field) textSchema() object {
	rules := f.single()
	result := object{"type": "string"}
	if rules.GetString().GetMinLen() > 0 {
		result["minLength"] = rules.GetString().GetMinLen()
	}
	for _, rule := range rules.GetCel() {
		if found := matches.FindStringSubmatch(rule.GetExpression()); found != nil {
			result["pattern"] = "(" + strings.ReplaceAll(found[1], `\\`, `\`) + ")|" + variable
			result["patternErrorMessage"] = rule.GetMessage() // Understood by yaml-language-server.
		}
	}
	return result
}

func text(pattern string) object { return object{"type": "string", "pattern": pattern} }

func either(schemas ...object) object { return object{"anyOf": schemas} }
