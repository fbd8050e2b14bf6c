package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Set is a set of contracts: those of sources first, then those that are linked into the binary. Once its rules are set, it
// is immutable and safe for concurrent use.
type Set struct {
	sources []*Source
	origin  map[protoreflect.FullName]Contract // Of the services of sources.
	types   *protoregistry.Types
	rules   map[protoreflect.FullName]*annotations.HttpRule // That stand in for the annotations of methods.
}

// Contract says where the contract of a service comes from.
type Contract struct {
	// Source is the name of the source.
	Source string
	// Digest is the SHA-256 of the service with all messages and enums that it needs, in hexadecimal.
	Digest string
}

// linked is the source of what is part of the binary.
const linked = "linked"

// NewSet returns the contracts of the sources, and of what is linked into the binary where they have none. Sources may share
// services as long as their contracts are the same; the error joins one for each that is not.
func NewSet(sources ...*Source) (*Set, error) {
	s := &Set{sources: sources, origin: map[protoreflect.FullName]Contract{}, types: new(protoregistry.Types)}
	var conflicts []error
	for _, source := range sources {
		source.services(func(service protoreflect.ServiceDescriptor) { conflicts = append(conflicts, s.add(source, service)) })
		registerTypes(s.types, source.files)
	}
	return s, errors.Join(conflicts...)
}

// add notes where a service comes from; it fails if another source has another contract for it.
func (s *Set) add(source *Source, service protoreflect.ServiceDescriptor) error {
	digest := contractOf(service).digest()
	other, ok := s.origin[service.FullName()]
	if !ok {
		s.origin[service.FullName()] = Contract{source.Name, digest}
		return nil
	}
	if other.Digest == digest {
		return nil
	}
	first := s.Service(string(service.FullName()))
	return fmt.Errorf("%s and %s have different contracts for the service %s: they differ in %s; bring both to one version, or drop one",
		other.Source, source.Name, service.FullName(), contractOf(first).difference(contractOf(service)))
}

// registerTypes makes the messages and extensions of a source known, for JSON and for the details of errors. What is known
// already, from another source, stays.
func registerTypes(types *protoregistry.Types, files *protoregistry.Files) {
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		registerMessages(types, file.Messages())
		registerExtensions(types, file.Extensions())
		return true
	})
}

func registerMessages(types *protoregistry.Types, messages protoreflect.MessageDescriptors) {
	for i := range messages.Len() {
		message := messages.Get(i)
		_ = types.RegisterMessage(dynamicpb.NewMessageType(message)) // Only a duplicate fails.
		registerMessages(types, message.Messages())
		registerExtensions(types, message.Extensions())
	}
}

func registerExtensions(types *protoregistry.Types, extensions protoreflect.ExtensionDescriptors) {
	for i := range extensions.Len() {
		_ = types.RegisterExtension(dynamicpb.NewExtensionType(extensions.Get(i))) // The same.
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

// Contract returns where the contract of a service comes from; false where it is not known.
func (s *Set) Contract(service string) (Contract, bool) {
	if c, ok := s.origin[protoreflect.FullName(service)]; ok {
		return c, true
	}
	found := s.Service(service)
	if found == nil {
		return Contract{}, false
	}
	return Contract{linked, contractOf(found).digest()}, true
}

// Digests returns what the sources say, in a form that is the same for the same contracts.
func (s *Set) Digests() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.origin)) {
		all = append(all, fmt.Sprintf("%s %s %s", name, s.origin[name].Source, s.origin[name].Digest))
	}
	return all
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
	for _, source := range s.sources {
		source.files.RangeFiles(add)
	}
	protoregistry.GlobalFiles.RangeFiles(add)
	return names
}

// FindDescriptorByName makes a Set a protodesc.Resolver.
func (s *Set) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	for _, source := range s.sources {
		if found, err := source.files.FindDescriptorByName(name); err == nil {
			return found, nil
		}
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}

// FindFileByPath makes a Set a protodesc.Resolver.
func (s *Set) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	for _, source := range s.sources {
		if found, err := source.files.FindFileByPath(path); err == nil {
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

// FindExtensionByName makes a Set a resolver of extensions: what is linked into the binary first.
func (s *Set) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	if found, err := protoregistry.GlobalTypes.FindExtensionByName(name); err == nil {
		return found, nil
	}
	return s.types.FindExtensionByName(name)
}

// FindExtensionByNumber makes a Set a resolver of extensions: what is linked into the binary first.
func (s *Set) FindExtensionByNumber(message protoreflect.FullName, field protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	if found, err := protoregistry.GlobalTypes.FindExtensionByNumber(message, field); err == nil {
		return found, nil
	}
	return s.types.FindExtensionByNumber(message, field)
}

// RangeExtensionsByMessage makes a Set what server reflection asks for extensions.
func (s *Set) RangeExtensionsByMessage(message protoreflect.FullName, f func(protoreflect.ExtensionType) bool) {
	more := true
	protoregistry.GlobalTypes.RangeExtensionsByMessage(message, func(x protoreflect.ExtensionType) bool {
		more = f(x)
		return more
	})
	s.types.RangeExtensionsByMessage(message, func(x protoreflect.ExtensionType) bool {
		number := x.TypeDescriptor().Number()
		if _, err := protoregistry.GlobalTypes.FindExtensionByNumber(message, number); err == nil {
			return more
		}
		more = more && f(x)
		return more
	})
}
