package schema

import (
	"errors"
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Set is a set of contracts: those of descriptor images first, then those that are linked into the binary. Once made, it is
// immutable and safe for concurrent use.
type Set struct {
	images []*protoregistry.Files
	types  *protoregistry.Types
}

// NewSet returns the contracts that are linked into the binary.
func NewSet() *Set { return &Set{types: new(protoregistry.Types)} }

// Add reads a descriptor image, a file that holds a FileDescriptorSet with all imports. It belongs to the making of a set:
// nobody may use the set meanwhile. On failure the set is as it was.
func (s *Set) Add(path string) error {
	files, err := loadImage(path)
	if err != nil {
		return fmt.Errorf("descriptor image %s: %w", path, err)
	}
	s.images = append(s.images, files)
	registerTypes(s.types, files)
	return nil
}

func loadImage(path string) (*protoregistry.Files, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(data, set); err != nil {
		return nil, errors.New("not a FileDescriptorSet; make one with: buf build --as-file-descriptor-set -o image.binpb")
	}
	if len(set.GetFile()) == 0 {
		return nil, errors.New("holds no files; make one with: buf build --as-file-descriptor-set -o image.binpb")
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("incomplete or inconsistent (are the imports part of it?): %w", err)
	}
	return files, nil
}

// registerTypes makes the messages of an image known, so that details of errors can be shown. A type that is known
// already, from another image, stays.
func registerTypes(types *protoregistry.Types, files *protoregistry.Files) {
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		registerMessages(types, file.Messages())
		return true
	})
}

func registerMessages(types *protoregistry.Types, messages protoreflect.MessageDescriptors) {
	for i := range messages.Len() {
		message := messages.Get(i)
		_ = types.RegisterMessage(dynamicpb.NewMessageType(message)) // Only a duplicate fails.
		registerMessages(types, message.Messages())
	}
}

// Service returns the contract of a service; nil where it is not known.
func (s *Set) Service(name string) protoreflect.ServiceDescriptor {
	found, err := s.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	service, _ := found.(protoreflect.ServiceDescriptor)
	return service
}

// Services returns the names of all services whose contract is known.
func (s *Set) Services() []string {
	var names []string
	add := func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			names = append(names, string(file.Services().Get(i).FullName()))
		}
		return true
	}
	for _, files := range s.images {
		files.RangeFiles(add)
	}
	protoregistry.GlobalFiles.RangeFiles(add)
	return names
}

// FindDescriptorByName makes a Set a protodesc.Resolver.
func (s *Set) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	for _, files := range s.images {
		if found, err := files.FindDescriptorByName(name); err == nil {
			return found, nil
		}
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}

// FindFileByPath makes a Set a protodesc.Resolver.
func (s *Set) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	for _, files := range s.images {
		if found, err := files.FindFileByPath(path); err == nil {
			return found, nil
		}
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

// FindMessageByName makes a Set a resolver of Any: what is linked into the binary first.
func (s *Set) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	if found, err := protoregistry.GlobalTypes.FindMessageByName(name); err == nil {
		return found, nil
	}
	return s.types.FindMessageByName(name)
}

// FindMessageByURL makes a Set a resolver of Any.
func (s *Set) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if found, err := protoregistry.GlobalTypes.FindMessageByURL(url); err == nil {
		return found, nil
	}
	return s.types.FindMessageByURL(url)
}

// FindExtensionByName makes a Set a resolver of extensions, of which only linked ones are known.
func (s *Set) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return protoregistry.GlobalTypes.FindExtensionByName(name)
}

// FindExtensionByNumber makes a Set a resolver of extensions, of which only linked ones are known.
func (s *Set) FindExtensionByNumber(message protoreflect.FullName, field protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return protoregistry.GlobalTypes.FindExtensionByNumber(message, field)
}

// RangeExtensionsByMessage makes a Set what server reflection asks for extensions.
func (s *Set) RangeExtensionsByMessage(message protoreflect.FullName, f func(protoreflect.ExtensionType) bool) {
	protoregistry.GlobalTypes.RangeExtensionsByMessage(message, f)
}
