// Package announce is how a process of the benchmark says where it listens: a line of JSON on standard error, as cardea
// serve writes it.
package announce

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
)

// What a line can announce.
const (
	Serving  = "serving"  // The address for calls.
	Admin    = "admin"    // The address for operators, with the profiler.
	Counting = "counting" // The address that says how many calls arrived.
)

// Line is an announcement.
type Line struct {
	What    string `json:"msg"`
	Address string `json:"address"`
}

// Parse returns the announcement in a line of output, if there is one.
func Parse(text []byte) (line Line, ok bool) {
	err := json.Unmarshal(text, &line)
	return line, err == nil && line.Address != ""
}

// Listen opens a loopback port and announces it.
func Listen(what string) (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	Address(os.Stderr, what, listener.Addr())
	return listener, nil
}

// Address announces an address that is open already.
func Address(w io.Writer, what string, address net.Addr) {
	slog.New(slog.NewJSONHandler(w, nil)).Info(what, "address", address.String())
}

// Exit ends a process whose work has ended, which none should.
func Exit(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
