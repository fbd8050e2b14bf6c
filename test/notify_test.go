package test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestServiceManagerIsTold stands in for systemd: it reads what the gateway sends to NOTIFY_SOCKET.
func TestServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var told []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for buffer := make([]byte, 1000); ; {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			mu.Lock()
			told = append(told, strings.Split(string(buffer[:n]), "\n")...)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		socket.Close()
		reading.Wait()
	})
	hears := func(line string, times int) {
		t.Helper()
		eventually(t, line, func() bool {
			mu.Lock()
			defer mu.Unlock()
			count := 0
			for _, l := range told {
				if l == line {
					count++
				}
			}
			return count == times
		})
	}

	cmd := cardeaServe(t, orderConfig("", "127.0.0.1:1"))
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	gw := waitForAddresses(t, start(t, cmd))
	hears("READY=1", 1)
	hears(fmt.Sprintf("MAINPID=%d", gw.Process.Pid), 1)
	gw.signal(t, syscall.SIGHUP)
	hears("RELOADING=1", 1)
	hears("READY=1", 2)
	mu.Lock()
	if !slices.ContainsFunc(told, func(line string) bool { return strings.HasPrefix(line, "MONOTONIC_USEC=") }) {
		t.Errorf("told %v", told)
	}
	mu.Unlock()
	gw.stop(t)
	hears("STOPPING=1", 1)
}
