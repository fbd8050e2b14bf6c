package main

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/cloudflare/tableflip"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// upgradeTimeout is how long the new binary may take until it serves.
const upgradeTimeout = time.Minute

// process is what a serving gateway is to the system around it: sockets that outlive it, and a service manager that wants
// to be told (systemd's notify protocol; without systemd nothing is sent).
type process struct {
	upgrader *tableflip.Upgrader
	log      *slog.Logger
}

func newProcess(pidFile string, log *slog.Logger) (*process, error) {
	upgrader, err := tableflip.New(tableflip.Options{PIDFile: pidFile, UpgradeTimeout: upgradeTimeout})
	if err != nil {
		return nil, err
	}
	return &process{upgrader: upgrader, log: log}, nil
}

// listen opens a socket, or takes the one that the process before had at that address.
func (p *process) listen(network, address string) (net.Listener, error) {
	return p.upgrader.Listen(network, address)
}

// ready tells the process before, which then stops, and the service manager.
func (p *process) ready() {
	if err := p.upgrader.Ready(); err != nil {
		p.log.Warn("the process before can't be told that this one serves", "error", err)
	}
	p.notify(fmt.Sprintf("MAINPID=%d\n%s", os.Getpid(), daemon.SdNotifyReady))
}

// handedOver is closed once another process has the sockets and serves.
func (p *process) handedOver() <-chan struct{} { return p.upgrader.Exit() }

// upgrade starts the binary anew. If it does not come to serve, everything stays as it is.
func (p *process) upgrade() {
	if err := p.upgrader.Upgrade(); err != nil {
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
func (p *process) stop()     { p.upgrader.Stop() }

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

// memoryShare is how much of the container's memory the heap may take before the garbage collector works harder: the
// rest is for what Go does not count.
const memoryShare = 0.9

// limitMemory sets GOMEMLIMIT from the limit of the control group, unless it is set already.
func limitMemory(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memlimit.FromCgroup))
	if err != nil { // Without a limit, or without control groups, there is nothing to do.
		log.Debug("no memory limit", "error", err)
		return
	}
	if limit > 0 && limit < math.MaxInt64 {
		log.Info("memory limit", "bytes", limit)
	}
}
