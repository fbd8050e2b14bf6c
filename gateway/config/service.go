package config

import (
	"fmt"
	"os"

	"go.yaml.in/yaml/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
)

// Service is a service configuration that was read: a YAML file of type google.api.Service, of which the gateway uses the
// section http. It is immutable and safe for concurrent use.
type Service struct {
	doc  *document
	http *annotations.Http
}

// LoadService reads a service configuration. Only its section http is looked at, but there nothing unknown is allowed. Errors
// are like those of [Load].
func LoadService(path string) (*Service, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("service configuration: %w", err)
	}
	doc, err := readDocument(path, data)
	if err != nil {
		return nil, err
	}
	s := &Service{doc: doc, http: &annotations.Http{}}
	section := sectionOf(doc.root, "http")
	if section == nil {
		return nil, fmt.Errorf("%s: there is no section http, and the gateway uses nothing else of a service configuration", path)
	}
	doc.message(section, s.http.ProtoReflect(), "http")
	doc.conceal = concealer(doc.expansions)
	return s, doc.problems.err()
}

// sectionOf returns the value of a key at the top of a file; nil where there is none.
func sectionOf(root *yaml.Node, name string) *yaml.Node {
	if root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == name {
			return root.Content[i+1]
		}
	}
	return nil
}

// HTTP returns the section http. The caller must not change it.
func (s *Service) HTTP() *annotations.Http { return s.http }

// Explain is [File.Explain] for errors about fields such as http.rules[2].
func (s *Service) Explain(err error) error { return s.doc.explain(err) }
