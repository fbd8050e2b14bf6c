// Package file finds the instances of a backend in a YAML file, such as file:///etc/cardea/orders.yaml:
//
//	instances:
//	  - {address: "10.0.0.1:50051", weight: 3, zone: eu-1a, id: orders-1, metadata: {version: "2"}}
//	  - {address: "10.0.0.2:50051", unhealthy: "being repaired"}
//
// Everything but the address may be left out; the weight is then 1. A weight of 0 gets no calls. The file is looked at twice a
// second, so that it may lie on a network file system or behind the symbolic links of a ConfigMap. A change counts when a second
// look, a little later, finds the same. A file with a mistake changes nothing. To be sure that one that is half written is never
// taken for a whole one with fewer instances, write another file and rename it.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/cardea-gateway/cardea/discovery"
)

const (
	scheme   = "file"
	form     = "want file:///absolute/path.yaml"
	interval = 500 * time.Millisecond
	settling = 200 * time.Millisecond // From the look that finds a change to the next.
	most     = 4 << 20                // Bytes of a file.
)

type source struct{}

// NewSource returns a source for targets of the scheme file. It holds nothing.
func NewSource() discovery.Source { return source{} }

// Scheme is file.
func (source) Scheme() string { return scheme }

// Open returns a watch. It fails where [Parse] would; the file need not be there.
func (source) Open(u *url.URL) (discovery.Watch, error) {
	if u.Host != "" || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" || !filepath.IsAbs(u.Path) || strings.HasSuffix(u.Path, "/") {
		return nil, fmt.Errorf("file: target: %s", form)
	}
	return &watch{path: u.Path}, nil
}

// Authority is a name for servers to be asked by: that of the file, without what a host can't have.
func (source) Authority(u *url.URL) string {
	name, _, _ := strings.Cut(filepath.Base(u.Path), ".")
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, name)
}

// Parse checks a target.
func Parse(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != scheme {
		return fmt.Errorf("file: target: %s", form)
	}
	_, err = source{}.Open(u)
	return err
}

// watch looks at one file.
type watch struct {
	path  string
	text  []byte // What was read last.
	taken bool   // The set is what it says.
	set   []discovery.Instance
}

// Close does nothing: a look leaves nothing behind.
func (*watch) Close() error { return nil }

// Next reads the file, if it has changed.
func (w *watch) Next(context.Context) (discovery.Set, error) {
	text, err := w.read()
	if err != nil {
		return discovery.Set{}, fmt.Errorf("file: %w", err)
	}
	if !bytes.Equal(text, w.text) {
		w.text, w.taken = text, false
		if w.set != nil {
			return discovery.Set{Instances: w.set, After: settling}, nil
		}
	}
	if !w.taken {
		set, err := parse(text)
		if err != nil {
			return discovery.Set{}, fmt.Errorf("file: %s:%w", w.path, err)
		}
		w.set, w.taken = set, true
	}
	return discovery.Set{Instances: w.set, After: interval}, nil
}

func (w *watch) read() ([]byte, error) {
	info, err := os.Stat(w.path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // To open a pipe would block for ever.
		return nil, fmt.Errorf("%s: not a regular file", w.path)
	}
	f, err := os.Open(w.path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // It was only read.
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		return nil, fmt.Errorf("%s: more than %d MiB", w.path, most>>20)
	}
	return text, err
}

// document is the file.
type document struct {
	Instances []entry `yaml:"instances"`
}

// entry is an instance as the file has it.
type entry struct {
	Address   string            `yaml:"address"`
	ID        string            `yaml:"id"`
	Weight    *uint32           `yaml:"weight"`
	Zone      string            `yaml:"zone"`
	Unhealthy string            `yaml:"unhealthy"`
	Metadata  map[string]string `yaml:"metadata"`

	line int
}

// UnmarshalYAML reads an entry and where it stands.
func (e *entry) UnmarshalYAML(node *yaml.Node) error {
	type plain entry
	known := map[string]bool{"address": true, "id": true, "weight": true, "zone": true, "unhealthy": true, "metadata": true}
	for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		if key := node.Content[i]; !known[key.Value] { // A node's own decoder knows no strictness.
			return fmt.Errorf("line %d: unknown field %q; want address, id, weight, zone, unhealthy or metadata", key.Line, key.Value)
		}
		if value := node.Content[i+1]; node.Content[i].Value == "weight" && value.Tag != "!!int" { // The decoder would cut 0.9 to 0.
			return fmt.Errorf("line %d: weight %q is no whole number from 0 to 4294967295", value.Line, value.Value)
		} else if key := node.Content[i].Value; key != "weight" && key != "metadata" && value.Tag != "!!str" {
			return fmt.Errorf("line %d: %s %q is no text: put it in quotes, or leave it out", value.Line, key, value.Value)
		}
	}
	if err := node.Decode((*plain)(e)); err != nil {
		return err
	}
	e.line = node.Line
	return nil
}

// parse reads a file. Errors begin with the line.
func parse(text []byte) ([]discovery.Instance, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var d document
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, tidy(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New(" more than one document; want one with the field instances")
	}
	instances, first := []discovery.Instance{}, map[string]int{}
	for _, e := range d.Instances {
		if err := discovery.CheckAddress(e.Address); err != nil {
			return nil, fmt.Errorf("%d: address %q: %w", e.line, e.Address, err)
		}
		if line := first[e.Address]; line > 0 {
			return nil, fmt.Errorf("%d: address %q stands in line %d already; remove one", e.line, e.Address, line)
		}
		first[e.Address] = e.line
		weight := uint32(1)
		if e.Weight != nil {
			weight = *e.Weight
		}
		instances = append(instances, discovery.Instance{
			Address: e.Address, ID: e.ID, Weight: weight, Zone: e.Zone, Unhealthy: e.Unhealthy, Metadata: e.Metadata,
		})
	}
	return instances, nil
}

// tidy puts the line of an error of the YAML library in front.
func tidy(err error) error {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n  ")
	return errors.New(strings.TrimPrefix(text, "line "))
}
