package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
)

// Cores: the gateway under test has one of its own, what feeds it shares the other.
const (
	gatewayCore = "0"
	otherCore   = "1"
)

// Times to wait for.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 5 * time.Second
)

// process is a child.
type process struct {
	name      string
	cmd       *exec.Cmd
	announced chan announce.Line // Closed when the process has ended.
	last      string             // What it said last, unless an announcement.
	admin     string             // The address for operators, if it has one.
}

// starter starts children.
type starter struct {
	dir       string // Where the binaries are that the benchmark builds, and files for them.
	pinned    bool
	elsewhere map[string]string // Binaries that are not in the folder, by name.
}

// binary returns the file of a program.
func (s starter) binary(name string) string {
	if file := s.elsewhere[name]; file != "" {
		return file
	}
	return filepath.Join(s.dir, name)
}

// start starts a child on a core. It ends with the context, if it was not stopped before.
func (s starter) start(ctx context.Context, core, name string, args ...string) (*process, error) {
	command := []string{s.binary(name)}
	if s.pinned {
		command = append([]string{"taskset", "-c", core}, command...) // It becomes the command: the pid is the same.
	}
	command = append(command, args...)
	p := &process{name: name, cmd: exec.CommandContext(ctx, command[0], command[1:]...), announced: make(chan announce.Line, 8)}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p.cmd.SysProcAttr = attributes()
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopTimeout
	output, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.watch(bufio.NewScanner(output))
	return p, nil
}

// watch reads what the process says, to its end.
func (p *process) watch(output *bufio.Scanner) {
	defer close(p.announced)
	for output.Scan() {
		line, ok := announce.Parse(output.Bytes())
		if !ok {
			p.last = output.Text()
			continue
		}
		select {
		case p.announced <- line:
		default: // Nobody is interested in so many.
		}
	}
	_ = p.cmd.Wait()
}

// address waits until the process announces an address.
func (p *process) address(ctx context.Context, what string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		select {
		case line, ok := <-p.announced:
			if !ok {
				return "", fmt.Errorf("%s has ended: %s", p.name, p.last)
			}
			if line.What == what {
				return line.Address, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s is not %s: %w", p.name, what, ctx.Err())
		}
	}
}

// stop ends the process, and returns when it has ended.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	for range p.announced { // Until it is closed.
	}
}

// cpu returns the CPU time that the process has used, in user space and in the kernel, to 10 ms.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(text))
}

// parseStat adds utime and stime of proc(5): the 14th and 15th field, counted from behind the name, which may hold spaces.
func parseStat(text string) (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs on Linux.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("can't read %q", text)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err
}

// canPin says whether processes can be bound to the two cores.
func canPin(ctx context.Context) bool {
	for _, core := range []string{gatewayCore, otherCore} {
		if exec.CommandContext(ctx, "taskset", "-c", core, "true").Run() != nil {
			return false
		}
	}
	return true
}

// pinSelf binds this process, the load generator, to the core of the backend. The result undoes what can be undone.
func pinSelf(ctx context.Context, pinned bool) (restore func(), err error) {
	procs := runtime.GOMAXPROCS(1)
	restore = func() { runtime.GOMAXPROCS(procs) }
	if pinned {
		err = exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", otherCore, strconv.Itoa(os.Getpid())).Run()
	}
	return restore, err
}

// resetPeak forgets the peak of resident memory, and returns how many bytes are resident now.
func (p *process) resetPeak() (resident int, err error) {
	const peak = "5" // See proc(5).
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte(peak), 0); err != nil {
		return 0, err
	}
	return p.status("VmRSS")
}

// status returns an amount of memory that the kernel knows of the process, in bytes.
func (p *process) status(name string) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseStatus(string(text), name)
}

func parseStatus(text, name string) (int, error) {
	for line := range strings.Lines(text) {
		if amount, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(amount), "kB")))
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in %q", name, text)
}
