package httprule

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Image is the descriptor image of the contract.
//
//go:embed httprule.binpb
var Image []byte

// Methods returns the full names of all methods of the contract.
func Methods() []string {
	var all []string
	for _, service := range Services {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
		if err != nil {
			continue
		}
		sd, _ := found.(protoreflect.ServiceDescriptor)
		for i := range sd.Methods().Len() {
			all = append(all, string(sd.Methods().Get(i).FullName()))
		}
	}
	return all
}

// Process is a transcoder that runs as a process of its own.
type Process struct {
	cmd *exec.Cmd
	// Address is where it answers.
	Address string
}

// startTimeout is how long a transcoder may take to start.
const startTimeout = 20 * time.Second

// Stop ends it.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(startTimeout, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait()
}

// StartCardea starts a binary of Cardea in front of a backend, with the image of the contract. Files go into the folder.
func StartCardea(ctx context.Context, binary, folder, backend string) (*Process, error) {
	image, config := filepath.Join(folder, "httprule.binpb"), filepath.Join(folder, "cardea.yaml")
	text := fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
access_log: {disabled: true}
backends: [{name: suite, target: "static:///%s", services: [%s]}]
descriptors: {images: [%s]}
policies: [{selectors: [%s], policy: {auth: {public: true}}}]
`, backend, strings.Join(Services, ", "), image, strings.Join(Methods(), ", "))
	if err := errors.Join(os.WriteFile(image, Image, 0o600), os.WriteFile(config, []byte(text), 0o600)); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "serve", "--config", config)
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd}
	if p.Address, err = readyLine(output); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// readyLine reads a log of JSON lines until one says where the gateway listens; the rest is thrown away.
func readyLine(log io.Reader) (string, error) {
	scanner := bufio.NewScanner(log)
	last := ""
	for scanner.Scan() {
		var line struct {
			Msg       string   `json:"msg"`
			Addresses []string `json:"addresses"`
		}
		last = scanner.Text()
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Msg == "ready" && len(line.Addresses) > 0 {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return line.Addresses[0], nil
		}
	}
	return "", fmt.Errorf("the gateway did not start: %s", last)
}
