package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// process is what a serving gateway is to the system around it: sockets that can outlive it (sockets.go), a file with its
// id, and a service manager that wants to be told (systemd's notify protocol; without systemd nothing is sent).
type process struct {
	*sockets

	pidFile string
	log     *slog.Logger
}

func newProcess(pidFile string, log *slog.Logger) (*process, error) {
	inherited, err := inherit()
	return &process{sockets: inherited, pidFile: pidFile, log: log}, err
}

// ready tells everybody that this process serves: the file, the process before, which then stops, and the service manager.
// An error means that the process before goes on, and that this one must not.
func (p *process) ready() error {
	if err := p.writePID(); err != nil {
		return err
	}
	if err := p.takeOver(); err != nil {
		return err
	}
	p.notify(fmt.Sprintf("MAINPID=%d\n%s", os.Getpid(), daemon.SdNotifyReady))
	return nil
}

// writePID replaces the file with the process id.
func (p *process) writePID() error {
	if p.pidFile == "" {
		return nil
	}
	next, err := os.CreateTemp(filepath.Dir(p.pidFile), filepath.Base(p.pidFile))
	if err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	_, err = next.WriteString(strconv.Itoa(os.Getpid()))
	err = errors.Join(err, next.Chmod(0o644), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), p.pidFile)
	}
	if err != nil {
		_ = os.Remove(next.Name())
		return fmt.Errorf("pid file: %w", err)
	}
	return nil
}

// upgrade starts the binary anew. If it does not come to serve, everything stays as it is.
func (p *process) upgrade(ctx context.Context) {
	if err := p.handOver(ctx); err != nil {
		p.log.Error("upgrade failed: this process goes on", "error", err)
		return
	}
	p.log.Info("upgraded: another process serves, this one finishes its calls")
}

func (p *process) reloading() {
	p.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, monotonic()))
}

func (p *process) reloaded() { p.notify(daemon.SdNotifyReady) }
func (p *process) stopping() { p.notify(daemon.SdNotifyStopping) }

func (p *process) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		p.log.Warn("the service manager can't be told", "error", err)
	}
}

// monotonic returns CLOCK_MONOTONIC in microseconds, by which systemd orders what it is told.
func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // It can't fail for this clock.
	return now.Nano() / int64(time.Microsecond)
}
