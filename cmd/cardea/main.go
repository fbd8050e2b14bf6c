// Command cardea is an API gateway for gRPC services, with REST.
//
//	cardea demo                         the gateway in front of a food-ordering back end, nothing to install
//	cardea serve --config cardea.yaml   the gateway in front of backends of your own
//	cardea check --config cardea.yaml   what is wrong with the configuration, if anything
//	cardea config --config cardea.yaml  what the configuration comes to, defaults included
//	cardea routes --config cardea.yaml  what it serves
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"google.golang.org/grpc/grpclog"
)

// version is set by the linker.
var version = "dev"

// commands are the commands of the binary, a file each.
type commands struct {
	Demo    demoCommand      `cmd:"" help:"Run the gateway in front of a food-ordering back end: nothing to install."`
	Serve   serveCommand     `cmd:"" help:"Run the gateway with a configuration file."`
	Check   checkCommand     `cmd:"" help:"Look for mistakes in a configuration file: each is explained, with its place."`
	Config  configCommand    `cmd:"" help:"Print the effective configuration: each value, with where it comes from."`
	Routes  routesCommand    `cmd:"" help:"Print what the gateway serves: HTTP method and path, gRPC method, backend."`
	Child   childCommand     `cmd:"" hidden:"" help:"Run one instance of an example service; the demo starts these."`
	Version kong.VersionFlag `help:"Print the version."`
}

func main() {
	// What grpc-go and grpc-gateway log by themselves is about single connections, and holds addresses.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs one command and returns the exit code: 0, 1 for a failure, 2 for a command line that can't be understood.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	exit := -1
	parser, err := kong.New(&commands{}, kong.Name("cardea"), kong.Description("An API gateway for gRPC services, with REST."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }), kong.Vars{"version": version},
		kong.UsageOnError(), kong.Bind(&console{ctx: ctx, out: stdout, err: stderr}))
	if err != nil {
		fmt.Fprintln(stderr, "cardea:", err)
		return 1
	}
	command, err := parser.Parse(args)
	switch {
	case exit >= 0: // --help and --version.
		return exit
	case err != nil:
		fmt.Fprintf(stderr, "cardea: %v\nTry: cardea --help\n", err)
		return 2
	}
	if err := command.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "cardea:", err)
		return 1
	}
	return 0
}

// console is what commands get of the outside.
type console struct {
	ctx      context.Context
	out, err io.Writer
}
