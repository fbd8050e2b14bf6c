package cluster

import (
	"bytes"
	"log/slog"
)

// maxLine is where a line without an end is cut.
const maxLine = 4096

// lines logs what a child writes to stderr, a line at a time.
type lines struct {
	log  *slog.Logger
	rest []byte
}

// Write is called by one goroutine at a time: the one that copies from the child.
func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found && len(l.rest) < maxLine {
			return len(b), nil
		}
		l.log.Warn("a food service says", "line", string(line))
		l.rest = rest
	}
}
