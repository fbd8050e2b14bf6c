package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Set is a set of contracts: those of sources first, then those that are linked into the binary. Once its rules are set, it
// is immutable and safe for concurrent use.
type Set struct {
	sources   []*Source
	services  map[protoreflect.FullName]protoreflect.ServiceDescriptor // That sources speak for.
	contracts map[string]Contract                                      // Of the services that are served.
	types     *protoregistry.Types
	rules     map[protoreflect.FullName][]Rule // That stand in for the annotations of methods.
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
// a service that is served as long as their contracts are the same; the error joins one for each that is not. Services that
// nobody serves may differ, like messages: images carry what others have written.
func NewSet(served []string, sources ...*Source) (*Set, error) {
	s := &Set{
		sources: sources, services: map[protoreflect.FullName]protoreflect.ServiceDescriptor{}, contracts: map[string]Contract{},
		types: new(protoregistry.Types), rules: map[protoreflect.FullName][]Rule{},
	}
	for _, source := range slices.Backward(sources) { // The first one is written last.
		maps.Copy(s.services, source.services)
	}
	for _, source := range sources {
		registerTypes(s.types, source.files)
	}
	var conflicts []error
	for _, service := range served {
		conflicts = append(conflicts, s.settle(protoreflect.FullName(service)))
	}
	return s, errors.Join(conflicts...)
}

// settle notes where the contract of a service comes from; it fails if the sources don't agree.
func (s *Set) settle(service protoreflect.FullName) error {
	known := s.Service(string(service))
	if known == nil {
		return nil
	}
	mine := contractOf(known)
	from := &Source{Name: linked}
	for _, source := range slices.Backward(s.sources) {
		other := source.services[service]
		if other == nil {
			continue
		}
		from = source
		if other == known {
			continue
		}
		if difference := mine.difference(contractOf(other)); difference != "" {
			return fmt.Errorf("%s and %s have different contracts for the service %s: they differ in %s; "+
				"bring both to one version, or drop one", s.first(service).place, source.place, service, difference)
		}
	}
	s.contracts[string(service)] = Contract{from.Name, mine.digest()}
	return nil
}

// first returns the first source that speaks for a service.
func (s *Set) first(service protoreflect.FullName) *Source {
	return s.sources[slices.IndexFunc(s.sources, func(source *Source) bool { return source.services[service] != nil })]
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
	if service := s.services[protoreflect.FullName(name)]; service != nil {
		return service
	}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	service, _ := found.(protoreflect.ServiceDescriptor)
	return service
}

// Contract returns where the contract of a service that is served comes from; the zero value where it is not known.
func (s *Set) Contract(service string) Contract { return s.contracts[service] }

// Digests returns what the sources hold, in a form that is the same if they hold the same.
func (s *Set) Digests() []string {
	var all []string
	for _, source := range s.sources {
		all = append(all, fmt.Sprintf("%q %s", source.Name, source.digest))
	}
	return all
}

// Services returns the names of all services whose contract is known.
func (s *Set) Services() []string {
	names := map[string]bool{}
	for name := range s.services {
		names[string(name)] = true
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			names[string(file.Services().Get(i).FullName())] = true
		}
		return true
	})
	return slices.Collect(maps.Keys(names))
}

// FindDescriptorByName makes a Set a protodesc.Resolver.
func (s *Set) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if service := s.services[name]; service != nil {
		return service, nil
	}
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
