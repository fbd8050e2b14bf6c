// Command peers runs the conformance suite against other transcoders, and Cardea beside them, and writes what came of it
// into the documentation.
//
//	go run ./httprule/peers -envoy "$(../tools/envoy)" -cardea ../bin/cardea -o ../docs/httprule.md
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/cardea-gateway/cardea/test/httprule"
)

func main() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	envoy := flag.String("envoy", "", "Envoy's binary")
	cardea := flag.String("cardea", "", "Cardea's binary")
	output := flag.String("o", "", "the page to write the tables into; standard output if empty")
	backend := flag.String("vanguard", "", "be Vanguard, in front of this backend")
	flag.Parse()
	if *backend != "" {
		return beVanguard(*backend)
	}
	if *envoy == "" || *cardea == "" {
		return errors.New("-envoy and -cardea are needed: the binaries to run")
	}
	cases, err := httprule.Load()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "httprule-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	server, err := httprule.NewBackend()
	if err != nil {
		return err
	}
	defer server.Close()
	r := &results{cases: cases}
	for _, p := range peers(*cardea, *envoy, folder) {
		if err := r.measure(ctx, p, server); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	var text bytes.Buffer
	r.print(&text)
	if *output == "" {
		_, err = os.Stdout.Write(text.Bytes())
		return err
	}
	return replaceSection(*output, text.String())
}

// results are what came of the cases, by peer.
type results struct {
	cases []*httprule.Case
	peers []string
	// problems[i][j] is what was wrong with case j at peer i.
	problems [][][]string
	crashes  []crash
}

// crash is a case that has ended a peer.
type crash struct {
	peer string
	c    *httprule.Case
}

// dying waits for a transcoder that may be about to end, because a request has failed.
func dying(ctx context.Context, problems []string) bool {
	if len(problems) == 0 || !strings.HasPrefix(problems[0], "the request failed") {
		return false
	}
	timer := time.NewTimer(dyingTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

// dyingTime is how long a process takes to end that has crashed.
const dyingTime = 500 * time.Millisecond

// answers tells whether anybody takes connections at an address.
func answers(ctx context.Context, address string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func (r *results) measure(ctx context.Context, p peer, backend *httprule.Backend) error {
	address, stop, err := p.start(ctx, backend.Address())
	if err != nil {
		return err
	}
	defer func() { stop() }()
	runner := &httprule.Runner{Backend: backend, Address: address}
	defer runner.Close()
	problems := make([][]string, len(r.cases))
	for i, c := range r.cases {
		problems[i] = runner.Run(ctx, c)
		if dying(ctx, problems[i]) && !answers(ctx, runner.Address) { // The case was the end of it.
			problems[i] = append(problems[i], "the transcoder has crashed")
			r.crashes = append(r.crashes, crash{p.name, c})
			stop()
			if runner.Address, stop, err = p.start(ctx, backend.Address()); err != nil {
				return err
			}
		}
	}
	r.peers, r.problems = append(r.peers, p.name), append(r.problems, problems)
	return ctx.Err()
}
