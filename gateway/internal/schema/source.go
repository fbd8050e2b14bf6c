package schema

import (
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
	Name  string
	files *protoregistry.Files
}

// remedy is how to make a descriptor set that is complete.
const remedy = "make one with: buf build --as-file-descriptor-set -o image.binpb"

// NewSource returns the contracts of a descriptor set, which must hold all imports.
func NewSource(name string, set *descriptorpb.FileDescriptorSet) (*Source, error) {
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
	return &Source{Name: name, files: files}, nil
}

// missingImports returns what files of the set import, and the set does not hold.
func missingImports(set *descriptorpb.FileDescriptorSet) []string {
	var missing []string
	has := func(name string) bool {
		return slices.ContainsFunc(set.GetFile(), func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == name })
	}
	for _, file := range set.GetFile() {
		for _, name := range file.GetDependency() {
			if !slices.Contains(missing, name) && !has(name) {
				missing = append(missing, name)
			}
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
	source, err := NewSource(name, set)
	if err != nil {
		return nil, fmt.Errorf("descriptor image %s: %w", path, errors.New(strings.TrimPrefix(err.Error(), name+": ")))
	}
	return source, nil
}

// suffixes are those of files that hold descriptor sets.
var suffixes = []string{".binpb", ".pb", ".desc", ".protoset"}

// Images returns the descriptor images of a folder, by name. Other files, and what is hidden, are none.
func Images(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("folder of descriptor images %s: %w", folder, errors.Unwrap(err))
	}
	var images []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") && slices.Contains(suffixes, filepath.Ext(name)) {
			images = append(images, filepath.Join(folder, name))
		}
	}
	return images, nil
}

// services calls f with each service that is defined in the source.
func (s *Source) services(f func(protoreflect.ServiceDescriptor)) {
	s.files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			f(file.Services().Get(i))
		}
		return true
	})
}
