package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Source is where contracts come from. It has a registry of its own: two sources may hold different versions of a file that
// both import. It is immutable and safe for concurrent use.
type Source struct {
	// Name says what it is to people, such as "image food.binpb".
	Name string

	place    string // Where it is, for errors; the name if there is no better one.
	digest   string // Of the whole set.
	files    *protoregistry.Files
	services map[protoreflect.FullName]protoreflect.ServiceDescriptor // That it speaks for.
}

// remedy is how to make a descriptor set that is complete.
const remedy = "make one with: buf build --as-file-descriptor-set -o image.binpb"

// NewSource returns the contracts of a descriptor set, which must hold all imports. It speaks for the services given, or for
// all in the set if none is.
func NewSource(name string, set *descriptorpb.FileDescriptorSet, services ...string) (*Source, error) {
	if len(set.GetFile()) == 0 {
		return nil, fmt.Errorf("%s: holds no files; %s", name, remedy)
	}
	if missing := missingImports(set); len(missing) > 0 {
		return nil, fmt.Errorf("%s: the imports %s are not part of it; %s", name, strings.Join(missing, ", "), remedy)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("%s: inconsistent: %w", name, err)
	}
	s := &Source{Name: name, place: name, digest: digestOf(set), files: files}
	s.speakFor(services)
	return s, nil
}

func (s *Source) speakFor(services []string) {
	s.services = map[protoreflect.FullName]protoreflect.ServiceDescriptor{}
	for _, name := range services {
		found, _ := s.files.FindDescriptorByName(protoreflect.FullName(name)) // Without it, it is no service.
		if service, ok := found.(protoreflect.ServiceDescriptor); ok {
			s.services[service.FullName()] = service
		}
	}
	if len(services) > 0 {
		return
	}
	s.files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			s.services[file.Services().Get(i).FullName()] = file.Services().Get(i)
		}
		return true
	})
}

// digestOf hashes all of a set. More than contracts depends on it: details of errors, and what reflection tells clients.
func digestOf(set *descriptorpb.FileDescriptorSet) string {
	wire, _ := proto.MarshalOptions{Deterministic: true}.Marshal(set) // It was read from there.
	sum := sha256.Sum256(wire)
	return hex.EncodeToString(sum[:])
}

// maxNamed is how many missing imports an error names.
const maxNamed = 10

// missingImports returns what files of the set import, and the set does not hold.
func missingImports(set *descriptorpb.FileDescriptorSet) []string {
	known := map[string]bool{}
	for _, file := range set.GetFile() {
		known[file.GetName()] = true
	}
	var missing []string
	for _, file := range set.GetFile() {
		for _, name := range file.GetDependency() {
			if known[name] {
				continue
			}
			if len(missing) == maxNamed {
				return append(missing, "and more")
			}
			known[name] = true // Once.
			missing = append(missing, name)
		}
	}
	return missing
}

// ReadImage reads a descriptor image, a file that holds a FileDescriptorSet, or an image of buf, which is one.
func ReadImage(path string) (*Source, error) {
	name := "image " + filepath.Base(path)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("descriptor image %s: %w", path, errors.Unwrap(err))
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(data, set); err != nil {
		return nil, fmt.Errorf("descriptor image %s: not a FileDescriptorSet; %s", path, remedy)
	}
	source, err := NewSource("descriptor image "+path, set)
	if err != nil {
		return nil, err
	}
	source.Name, source.place = name, "image "+path
	return source, nil
}

// suffixes are those of files that hold descriptor sets.
var suffixes = []string{".binpb", ".pb", ".desc", ".protoset"}

// Images returns the descriptor images of a folder, by name. Other files, folders in it, and what is hidden are none.
func Images(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("folder of descriptor images %s: %w", folder, errors.Unwrap(err))
	}
	var images []string
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() && !strings.HasPrefix(name, ".") && slices.Contains(suffixes, filepath.Ext(name)) {
			images = append(images, filepath.Join(folder, name))
		}
	}
	return images, nil
}
