package food

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"
)

// RunChild runs one instance on a free port of the loopback interface as the child of a cluster (package cluster). It
// prints "listening 127.0.0.1:PORT" when it can be called, and lives until stdin ends, which happens even if the parent
// is killed. It makes the process ignore SIGINT: a Ctrl-C reaches parent and children alike, but the parent has calls in
// flight that need the children; it closes stdin when they are done.
func RunChild(ctx context.Context, service, storeAddress string, pace time.Duration, stdin io.Reader, stdout io.Writer) error {
	signal.Ignore(os.Interrupt)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Nobody waits for this goroutine: no read can be interrupted. It ends with stdin, at the latest with the process.
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, stdin)
	}()
	return Serve(ctx, service, "127.0.0.1:0", storeAddress, pace, func(address net.Addr) {
		_, _ = fmt.Fprintf(stdout, "listening %s\n", address)
	})
}
