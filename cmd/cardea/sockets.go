package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// upgradeTimeout is how long the new process may take until it serves.
const upgradeTimeout = time.Minute

// socketsVariable tells the new process what it inherits: the addresses, as JSON, of the sockets that follow each other from
// the first file descriptor that is no standard one; behind the last one is a pipe that wants a byte once it serves.
const (
	socketsVariable = "CARDEA_SOCKETS"
	firstInherited  = 3
)

// sockets are those that the process listens on. A process that is started to take over inherits them.
type sockets struct {
	mu        sync.Mutex
	open      []*socket
	inherited []inheritance
	before    *os.File // Wants a byte; nil where no process was before this one.

	over     chan struct{} // Closed once another process has them.
	overOnce sync.Once
}

// inheritance is a socket that nobody has asked for yet.
type inheritance struct {
	address string
	file    *os.File
}

// socket takes itself off the list when it is closed.
type socket struct {
	*net.TCPListener

	all     *sockets
	address string // As it was asked for.
}

// Close closes the socket; the next process does not get it.
func (s *socket) Close() error {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.all.open = slices.DeleteFunc(s.all.open, func(other *socket) bool { return other == s })
	return s.TCPListener.Close()
}

// inherit takes over what the process before left, if there was one.
func inherit() (*sockets, error) {
	s := &sockets{over: make(chan struct{})}
	text, ok := os.LookupEnv(socketsVariable)
	if !ok {
		return s, nil
	}
	if err := os.Unsetenv(socketsVariable); err != nil {
		return nil, err
	}
	var addresses []string
	if err := json.Unmarshal([]byte(text), &addresses); err != nil {
		return nil, fmt.Errorf("%s: %w", socketsVariable, err)
	}
	for i, address := range addresses {
		s.inherited = append(s.inherited, inheritance{address, inheritedFile(i)})
	}
	s.before = inheritedFile(len(addresses))
	return s, nil
}

func inheritedFile(i int) *os.File {
	fd := firstInherited + i
	unix.CloseOnExec(fd) // It is nobody's else.
	return os.NewFile(uintptr(fd), fmt.Sprintf("inherited %d", fd))
}

// listen opens a socket, or takes the inherited one of that address.
func (s *sockets) listen(network, address string) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listener, err := s.claim(address)
	if listener == nil && err == nil {
		listener, err = net.Listen(network, address) //nolint:noctx // It waits for nothing.
	}
	if err != nil {
		return nil, err
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is no TCP address", address), listener.Close())
	}
	opened := &socket{TCPListener: tcp, all: s, address: address}
	s.open = append(s.open, opened)
	return opened, nil
}

// claim returns the inherited socket of an address; nil where there is none.
func (s *sockets) claim(address string) (net.Listener, error) {
	i := slices.IndexFunc(s.inherited, func(from inheritance) bool { return from.address == address })
	if i < 0 {
		return nil, nil //nolint:nilnil // It is not an error to open a socket of one's own.
	}
	file := s.inherited[i].file
	s.inherited = slices.Delete(s.inherited, i, i+1)
	defer func() { _ = file.Close() }() // The listener has a descriptor of its own.
	return net.FileListener(file)
}

// takeOver tells the process before that this one serves, and closes the sockets that it does not serve on.
func (s *sockets) takeOver() error {
	if s.before == nil {
		return nil
	}
	for _, unclaimed := range s.inherited {
		_ = unclaimed.file.Close()
	}
	s.inherited = nil
	_, err := s.before.Write([]byte{1})
	err = errors.Join(err, s.before.Close())
	s.before = nil
	return err
}

// handedOver is closed once another process has the sockets and serves.
func (s *sockets) handedOver() <-chan struct{} { return s.over }

// handOver starts the binary that lies where this one did, with the same arguments, and returns once it serves. On failure,
// and when the context ends before, the new process ends.
func (s *sockets) handOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	defer cancel()
	answer, question, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	child, err := s.spawn(question)
	_ = question.Close() // The new process has its own.
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	served := make(chan bool, 1)
	go func() {
		_, err := io.ReadFull(answer, make([]byte, 1))
		served <- err == nil
	}()
	select {
	case ok := <-served:
		if ok {
			s.overOnce.Do(func() { close(s.over) })
			return nil
		}
		return fmt.Errorf("the new process (%d) did not come to serve: %w", child.Process.Pid, errors.Join(<-ended, errEnded))
	case <-ctx.Done():
		_ = child.Process.Kill()
		return fmt.Errorf("the new process (%d): %w", child.Process.Pid, errors.Join(ctx.Err(), <-ended))
	}
}

var errEnded = errors.New("it has ended")

// spawn starts the new process with all open sockets.
func (s *sockets) spawn(question *os.File) (*exec.Cmd, error) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return nil, err
	}
	child := exec.Command(path, os.Args[1:]...) //nolint:gosec,noctx // Itself; it outlives this process.
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	s.mu.Lock()
	defer s.mu.Unlock()
	var addresses []string
	for _, open := range s.open {
		file, err := open.File()
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		addresses = append(addresses, open.address)
		child.ExtraFiles = append(child.ExtraFiles, file)
	}
	child.ExtraFiles = append(child.ExtraFiles, question)
	text, err := json.Marshal(addresses)
	if err != nil {
		return nil, err
	}
	child.Env = append(os.Environ(), socketsVariable+"="+string(text))
	return child, child.Start()
}
