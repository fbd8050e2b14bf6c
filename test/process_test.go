package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that takes milliseconds on a quiet machine.
const patience = 15 * time.Second

// process is a program that a test has started.
type process struct {
	*exec.Cmd
	stdout, stderr output
	exited         chan struct{} // Closed once the program has ended and its output is complete.
}

// start starts a program that is killed at the end of the test, if it still runs. Its output is shown if the test fails.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	cmd.WaitDelay = patience // A child that outlives the program may hold its output open.
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // The state says more.
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // It has ended already, as a rule.
		<-p.exited
		if t.Failed() {
			t.Logf("%s\nstdout:\n%s\nstderr:\n%s", strings.Join(cmd.Args, " "), &p.stdout, &p.stderr)
		}
	})
	return p
}

// signal sends a signal to the process alone.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatalf("%v: %v", s, err)
	}
}

// exitCode waits for the end of the process; -1 is a signal.
func (p *process) exitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(2 * patience):
		t.Fatalf("%s has not ended", p.Args)
	}
	return p.ProcessState.ExitCode()
}

// waitFor polls for something that the process brings about, and fails the test if the process ends before.
func (p *process) waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		select {
		case <-p.exited:
			if !condition() {
				t.Fatalf("%s ended (%v) before there was %s", p.Args, p.ProcessState, what)
			}
			return true
		default:
			return condition()
		}
	})
}

// output collects what a program prints.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// alive tells whether a process runs. One that has ended and that nobody has waited for does not.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	state, _, ok := stat(strconv.Itoa(pid))
	return !ok || (state != "Z" && state != "X")
}

// stat reads a process's state and parent, where the system has /proc.
func stat(pid string) (state string, parent int, ok bool) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return "", 0, false
	}
	// The second field is the program's name in parentheses, which may hold anything.
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
	if n, err := fmt.Sscan(rest, &state, &parent); n != 2 || err != nil {
		return "", 0, false
	}
	return state, parent, true
}

// childrenOf returns the processes that a process has started and that still run; none where there is no /proc.
func childrenOf(pid int) []int {
	var children []int
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range all {
		if state, parent, ok := stat(filepath.Base(path)); ok && parent == pid && state != "Z" {
			child, _ := strconv.Atoi(filepath.Base(path))
			children = append(children, child)
		}
	}
	return children
}
