// Package config reads the configuration of a gateway: a YAML file with the fields of cardea.config.v1.Config.
//
// What it returns is complete and consistent: every rule of the schema holds, so do the rules between fields that a
// schema cannot state, defaults are filled in, and file names are relative to the process or absolute. What it refuses
// it refuses with everything that is wrong, each with file, line and column:
//
//	gateway.yaml:2:14 listeners[0].address: must be host:port, such as 127.0.0.1:8080 (address.host_and_port)
//	   2 |   - address: "8080"
//	   2 | .............^
//
// YAML is read more strictly than usual: one document, no key twice, no unknown key, no aliases. Fields are written as
// in the schema, max_message_bytes, or as in its JSON form, maxMessageBytes. Sizes may carry a unit, 4Mi; so do
// durations, 1m30s.
//
//   - config.go: [Load] and [Parse], from bytes to a checked message
//   - file.go: [File], which knows where each value stands, and shows the place of errors found later
//   - default.go: [Default], and where relative file names start
//   - document.go: what YAML allows and the configuration does not
//   - check.go: the rules between fields
//   - problem.go: how errors show their place
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"buf.build/go/protovalidate"
	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// Load reads the configuration file at path. It is [Parse] of that file's content, and fails also if the file cannot be
// read; that error wraps the one of package os. It is safe for concurrent use.
func Load(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a configuration from data, and returns it with the defaults of [Default]. The name stands for the file in
// errors, and relative file names within the configuration start at its folder; an empty name means the working
// directory. The files that the configuration names are not opened. The error holds every problem found, one after
// another, and its text ends without a line break. Parse is safe for concurrent use.
func Parse(name string, data []byte) (*File, error) {
	doc, err := readDocument(name, data)
	if err != nil {
		return nil, err
	}
	cfg := &configv1.Config{}
	doc.walk(cfg.ProtoReflect().Descriptor())
	doc.problems.addAll(decode(doc, cfg))
	Default(cfg)
	check(cfg, doc)
	if err := doc.problems.err(); err != nil {
		return nil, err
	}
	resolveFiles(cfg, filepath.Dir(name))
	return &File{cfg: cfg, doc: doc}, nil
}

// Complete does for a configuration that was built in code what [Parse] does for a file: it fills in the defaults, in
// place, and applies every rule. Errors name fields, for want of lines. File names stay as they are. A configuration that
// Parse has returned passes unchanged.
func Complete(cfg *configv1.Config) error {
	if cfg == nil {
		return errors.New("config: there is none")
	}
	Default(cfg)
	if err := protovalidate.Validate(cfg); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	doc := &document{nodes: map[string]*yaml.Node{}}
	check(cfg, doc)
	return doc.problems.err()
}

// decode fills cfg and applies the rules of the schema. Unknown fields are left to the walk, which names all that are
// allowed.
func decode(doc *document, cfg *configv1.Config) error {
	options := protoyaml.UnmarshalOptions{Path: doc.name, Validator: validator{}, DiscardUnknown: true}
	return options.Unmarshal(doc.text, cfg)
}

// validator gives protovalidate the shape that protoyaml asks for.
type validator struct{}

func (validator) Validate(m proto.Message) error { return protovalidate.Validate(m) }

// unjoin returns the parts of an error made by errors.Join.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
