// Package config reads the configuration of a gateway: a YAML file with the fields of cardea.config.v1.Config.
//
// What it returns is complete and consistent: every rule of the schema holds, so do the rules between fields that a
// schema cannot state, defaults are filled in, and file names are relative to the process or absolute. What it refuses
// it refuses with everything that is wrong, each with file, line and column:
//
//	gateway.yaml:2:14 listeners[0].address: must be host:port, such as 127.0.0.1:8080 or [::1]:8080
//	   2 |   - address: "8080"
//	   2 | .............^
//
// YAML is read more strictly than usual: one document, no key twice, no unknown key, no empty value, no aliases, no tags.
// Fields are written as in the schema, max_message_bytes, or as in its JSON form, maxMessageBytes. Numbers may carry a
// unit, 4Mi; durations do, 1m30s. Values, and neither keys nor structure, may come from the environment: ${NAME}, or
// ${NAME:-default}; $$ is a dollar sign. What came from there does not show in errors.
//
// In the order in which a file passes them:
//
//   - config.go: [Load] and [Parse], from bytes to a checked message
//   - document.go: what YAML allows and the configuration does not
//   - decode.go: from the tree to the message; scalar.go: single values; env.go: those from the environment
//   - default.go: [Default], and where relative file names start
//   - rules.go: the rules of the schema; check.go: the rules between fields
//   - problem.go: how errors show their place
//   - file.go: [File], which shows the place of errors found later; settings.go: its values, and where each comes from
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
// directory. The files that the configuration names are not opened. The environment is that of the process. The error
// holds every problem found, one after another, and its text ends without a line break. Parse is safe for concurrent use.
func Parse(name string, data []byte) (*File, error) {
	doc, err := readDocument(name, data, "listeners and backends")
	if err != nil {
		return nil, err
	}
	written := &configv1.Config{}
	doc.decode(written.ProtoReflect())
	doc.conceal = concealer(doc.expansions)
	doc.validate(written)
	cfg := proto.CloneOf(written)
	Default(cfg)
	check(cfg, doc)
	if err := doc.problems.err(); err != nil {
		return nil, err
	}
	file := &File{cfg: cfg, doc: doc, written: written, effective: proto.CloneOf(cfg)}
	resolveFiles(cfg, filepath.Dir(name))
	return file, nil
}

// Complete does for a configuration that was built in code what [Parse] does for a file: it fills in the defaults, in
// place, and applies every rule. Errors name fields, for want of lines. File names stay as they are. A configuration that
// Parse has returned passes unchanged.
func Complete(cfg *configv1.Config) error {
	if cfg == nil {
		return errors.New("config: there is none")
	}
	doc := newDocument("")
	doc.validate(cfg)
	Default(cfg)
	check(cfg, doc)
	return doc.problems.err()
}
