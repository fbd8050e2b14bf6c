package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// patience is how long a released child may take: its own drain time and a little more.
const patience = 8 * time.Second

// process is one child. Its goroutine, supervise, ends with it.
type process struct {
	service  string
	cmd      *exec.Cmd
	stdin    io.Closer
	log      *slog.Logger
	released atomic.Bool
	address  string        // set before ready is closed
	ready    chan struct{} // closed when the child can be called
	ended    chan struct{} // closed when it is gone
}

func launch(service, exe string, args []string, log *slog.Logger) (*process, error) {
	cmd := exec.Command(exe, args...) //nolint:gosec,noctx // The caller says what to run; what ends it is its stdin.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", service, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", service, err)
	}
	cmd.Stderr = &lines{log: log.With("service", service)}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", service, err)
	}
	p := &process{
		service: service,
		cmd:     cmd,
		stdin:   stdin,
		log:     log,
		ready:   make(chan struct{}),
		ended:   make(chan struct{}),
	}
	go p.supervise(stdout)
	return p, nil
}

// supervise reads what the child prints until it ends, and says how it ended if nobody asked for it.
func (p *process) supervise(stdout io.Reader) {
	defer close(p.ended)
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); err == nil {
		if address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening "); ok {
			p.address = address
			close(p.ready)
		}
	}
	_, _ = io.Copy(io.Discard, out)
	err := p.cmd.Wait()
	if !p.released.Load() {
		p.log.Error("a food service ended unexpectedly",
			"service", p.service, "address", p.address, "pid", p.cmd.Process.Pid, "how", how(p.cmd, err))
	}
}

// how says in words how a child ended, such as "exit status 2" or "signal: killed".
func how(cmd *exec.Cmd, err error) string {
	if cmd.ProcessState != nil {
		return cmd.ProcessState.String()
	}
	return err.Error()
}

// await returns when the child can be called.
func (p *process) await(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("%s: %w: %s", p.service, errEnded, p.cmd.ProcessState)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", p.service, ctx.Err())
	}
}

var errEnded = errors.New("ended before it could be called")

// release lets the child end.
func (p *process) release() {
	p.released.Store(true)
	_ = p.stdin.Close()
}

// wait returns when a released child is gone.
func (p *process) wait() {
	kill := time.AfterFunc(patience, func() {
		p.log.Warn("a food service does not stop and is killed", "service", p.service, "pid", p.cmd.Process.Pid)
		_ = p.cmd.Process.Kill()
	})
	defer kill.Stop()
	<-p.ended
}
