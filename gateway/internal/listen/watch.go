package listen

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/cardea-gateway/cardea/gateway/internal/pemfile"
)

const (
	settle = 100 * time.Millisecond // For files to go on changing before they are read: a key is written after its certificate.
	again  = time.Second            // Until a folder that is away is looked for.
)

// fingerprint tells one state of all files from another.
type fingerprint [sha256.Size]byte

// files lists all files that are read.
func (t *TLS) files() (list []string) {
	for _, c := range t.cfg.GetCertificates() {
		list = append(list, c.GetCertificateFile(), c.GetPrivateKeyFile())
	}
	if ca := t.cfg.GetClientCertificates().GetCaFile(); ca != "" {
		list = append(list, ca)
	}
	return list
}

func (t *TLS) fingerprint() (f fingerprint) {
	h := sha256.New()
	for _, file := range t.files() {
		content, err := os.ReadFile(file)
		fmt.Fprintf(h, "%d %v\n", len(content), err)
		_, _ = h.Write(content)
	}
	return fingerprint(h.Sum(nil))
}

// Watch reloads whenever files have changed, until the context ends; it returns an error only if it can't watch. onResult
// hears how each reload went; after a failed one, the certificates that were there before are served until files change
// again. It is called from Watch's own goroutine.
func (t *TLS) Watch(ctx context.Context, onResult func(error)) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	defer func() { _ = watcher.Close() }()
	if err := t.follow(watcher); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	timer := time.NewTimer(0) // Files may have changed since they were read.
	defer timer.Stop()
	waiting := true
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			if waiting = t.follow(watcher) != nil; waiting { // Before reading: what changes after that is an event.
				timer.Reset(again)
			}
			t.refresh(onResult)
			continue
		case <-watcher.Events:
		case <-watcher.Errors: //nolint:errcheck // Whatever it is, events may have been lost.
		}
		if !waiting {
			waiting = true
			timer.Reset(settle)
		}
	}
}

// refresh reloads if any file has changed since the last try.
func (t *TLS) refresh(onResult func(error)) {
	t.mu.Lock()
	now := t.fingerprint()
	if now == t.seen {
		t.mu.Unlock()
		return
	}
	t.seen = now
	err := t.reload()
	t.mu.Unlock()
	onResult(err)
}

// follow watches the folders of all files.
func (t *TLS) follow(watcher *fsnotify.Watcher) error {
	var failures []error
	for _, file := range t.files() {
		for _, folder := range pemfile.Folders(file) {
			failures = append(failures, watcher.Add(folder))
		}
	}
	return errors.Join(failures...)
}
