// Command configdoc writes what is derived from the schema of the configuration: the reference for readers, and the JSON
// Schema for editors. tools/generate runs it.
//
//	configdoc FOLDER < IMAGE
//
// IMAGE is a FileDescriptorSet with comments, as `buf build` writes it; FOLDER is the root of the repository, or a copy. It
// fails where a comment states another default than the code fills in.
//
//   - schema.go: the messages and fields, with comments, rules and defaults
//   - default.go: what the code fills in, and what comments say of it
//   - reference.go, jsonschema.go: what is made of them
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
)

// Where the results go, from the root of the repository.
const (
	referenceFile  = "docs/configuration-reference.md"
	jsonSchemaFile = "gen/jsonschema/cardea.config.v1.Config.schema.json"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "configdoc:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader) error {
	if len(args) != 1 {
		return errors.New("usage: configdoc FOLDER < IMAGE")
	}
	image, err := io.ReadAll(stdin)
	if err != nil {
		return err
	}
	s, err := load(image)
	if err != nil {
		return err
	}
	editors, err := jsonSchema(s)
	if err != nil {
		return err
	}
	folder, err := os.OpenRoot(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }() // Its files are closed.
	return errors.Join(
		write(folder, referenceFile, []byte(reference(s))),
		write(folder, jsonSchemaFile, editors),
	)
}

func write(folder *os.Root, name string, data []byte) error {
	if err := folder.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return folder.WriteFile(name, data, 0o644)
}
