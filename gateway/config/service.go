package config

import (
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
)

// Service is a service configuration that was read: a YAML file of type google.api.Service, of which the gateway uses the
// section http. It is immutable and safe for concurrent use.
type Service struct {
	doc  *document
	http *annotations.Http
}

// serviceType is what the key type of a service configuration says.
const serviceType = "google.api.Service"

// LoadService reads a service configuration. Only its sections type and http are looked at, but there nothing unknown is
// allowed. Errors are like those of [Load].
func LoadService(path string) (*Service, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("service configuration: %w", err)
	}
	doc, err := readDocument(path, data, "type: "+serviceType+" and http")
	if err != nil {
		return nil, err
	}
	s := &Service{doc: doc, http: &annotations.Http{}}
	doc.checkType()
	if section := doc.section("http"); section != nil {
		doc.message(section, s.http.ProtoReflect(), "http")
	} else {
		doc.problems.add(doc.root, "there is no section http, and the gateway uses nothing else of a service configuration")
	}
	doc.conceal = concealer(doc.expansions)
	return s, doc.problems.err()
}

// checkType refuses files of another type. One that does not say its type is believed to be right.
func (d *document) checkType() {
	if n := d.section("type"); n != nil && n.Value != serviceType {
		d.problems.add(n, "type: must be %s", serviceType)
	}
}

// section returns the value of a key at the top of a file; nil where there is none. It refuses a second one.
func (d *document) section(name string) (value *yaml.Node) {
	var first *yaml.Node
	if d.root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		key := d.root.Content[i]
		switch {
		case key.Value == name && first == nil:
			first, value = key, d.root.Content[i+1]
		case key.Value == name:
			d.problems.add(key, "%s stands twice, the first time on line %d; remove one", name, first.Line)
		}
	}
	return value
}

// HTTP returns the section http. The caller must not change it.
func (s *Service) HTTP() *annotations.Http { return s.http }

// Origin says where a field such as http.rules[2] stands: service.yaml:12.
func (s *Service) Origin(path string) string {
	return fmt.Sprintf("%s:%d", filepath.Base(s.doc.name), s.doc.node(path).Line)
}

// Explain is [File.Explain] for errors about fields such as http.rules[2].
func (s *Service) Explain(err error) error { return s.doc.explain(err) }
