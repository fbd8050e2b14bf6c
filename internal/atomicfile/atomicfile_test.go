package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardea-gateway/cardea/internal/atomicfile"
)

func TestWrite(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cache", "deep")
	path := filepath.Join(folder, "f")
	for _, text := range []string{"first", "the second is longer", ""} {
		if err := atomicfile.Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != text || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	for path, want := range map[string]fs.FileMode{path: 0o600, folder: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if all, err := os.ReadDir(folder); len(all) != 1 || err != nil {
		t.Errorf("it leaves something behind: %v, %v", all, err)
	}
}

func TestWriteFails(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "f")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, nil); err == nil {
		t.Error("a file replaces a folder")
	}
	if all, err := os.ReadDir(folder); len(all) != 1 || err != nil {
		t.Errorf("it leaves something behind: %v, %v", all, err)
	}
	file := filepath.Join(folder, "file")
	if err := atomicfile.Write(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(filepath.Join(file, "f"), nil); err == nil {
		t.Error("a file has become a folder")
	}
}
