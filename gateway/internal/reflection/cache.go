package reflection

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cardea-gateway/cardea/internal/atomicfile"
)

// kept is an answer as a file holds it.
type kept struct {
	Version  string   `json:"version"`
	Services []string `json:"services"`
	Files    []byte   `json:"files"` // A FileDescriptorSet.
}

// Keep writes an answer to a file, which is replaced whole or not at all.
func Keep(path string, a *Answer) error {
	files, err := proto.MarshalOptions{Deterministic: true}.Marshal(a.Files)
	if err != nil {
		return fmt.Errorf("cache of descriptors: %w", err)
	}
	data, err := json.Marshal(kept{a.Version, a.Services, files})
	if err == nil {
		err = atomicfile.Write(path, data)
	}
	if err != nil {
		return fmt.Errorf("cache of descriptors: %w", err)
	}
	return nil
}

// Kept reads an answer from a file, and when it was written. A file that is not there is an error that wraps [os.ErrNotExist].
func Kept(path string) (*Answer, time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	var k kept
	files := &descriptorpb.FileDescriptorSet{}
	if err := json.Unmarshal(data, &k); err == nil {
		err = proto.Unmarshal(k.Files, files)
		if err == nil && len(files.GetFile()) > 0 {
			return &Answer{Version: k.Version, Services: k.Services, Files: files}, info.ModTime(), nil
		}
	}
	return nil, time.Time{}, fmt.Errorf("cache of descriptors: %s is not what the gateway wrote; delete it", path)
}
