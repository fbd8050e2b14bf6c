package chaos

import (
	"os/exec"
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
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // The state says more.
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s\nstdout:\n%s\nstderr:\n%s", strings.Join(cmd.Args, " "), p.stdout.tail(), p.stderr.tail())
		}
	})
	return p
}

// kill ends the process by SIGKILL, which a stopped one can't withstand either, and returns once it is gone.
func (p *process) kill() {
	_ = p.Process.Kill() // It may have ended already.
	<-p.exited
}

// signal sends a signal to the process alone.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatalf("%v to %s: %v", s, p.Path, err)
	}
}

// waitFor polls for something that the process brings about, and fails the test if the process ends before.
func (p *process) waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	within(t, patience, what, func() bool {
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

// within polls until a condition holds, and returns how long that took.
func within(t *testing.T, limit time.Duration, what string, condition func() bool) time.Duration {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	began := time.Now()
	for ; !condition(); <-ticker.C {
		if time.Since(began) > limit {
			t.Fatalf("waited %v in vain for %s", limit, what)
		}
	}
	return time.Since(began)
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

// tail is the end of a long output.
func (o *output) tail() string {
	const most = 8 << 10
	text := o.String()
	if len(text) <= most {
		return text
	}
	return "..." + text[len(text)-most:]
}
