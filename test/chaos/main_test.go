package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// cardea is the path of the binary under test.
var cardea string

// TestMain builds the binary once. Started again as a backend instance, the test binary is that instance and nothing else.
func TestMain(m *testing.M) {
	if journal := os.Getenv(journalVariable); journal != "" {
		os.Exit(instanceMain(journal))
	}
	flag.Parse()
	folder, err := os.MkdirTemp("", "cardea-chaos-")
	if err != nil {
		fail(err)
	}
	cardea = filepath.Join(folder, "cardea")
	build := exec.Command("go", "build", "-o", cardea, "./cmd/cardea")
	build.Dir = filepath.Join("..", "..") // A module of its own, with requirements of its own.
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		_ = os.RemoveAll(folder)
		fail(fmt.Errorf("go build ./cmd/cardea: %w", err))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(folder)
		os.Exit(code)
	}))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
