package pemfile

import (
	"os"
	"path/filepath"
	"slices"
)

// Folders returns the folders to watch for a file to change: its own, those of symbolic links on the way to it, and the one
// where it really lies. Files and links are replaced rather than written, by editors as by Kubernetes, so that watching the
// file itself would miss it.
func Folders(file string) []string {
	path, err := filepath.Abs(file)
	if err != nil {
		path = file
	}
	folders := []string{filepath.Dir(path)}
	for at := path; at != filepath.Dir(at); at = filepath.Dir(at) {
		if info, err := os.Lstat(at); err == nil && info.Mode()&os.ModeSymlink != 0 {
			folders = append(folders, filepath.Dir(at))
		}
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		folders = append(folders, filepath.Dir(target))
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}
