package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/cardea-gateway/cardea/gateway"
)

// routesCommand prints what a gateway serves.
type routesCommand struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

// Run prints a line for each route, and for each contract where it comes from. It connects to nothing but backends that tell
// their contracts by server reflection.
func (r *routesCommand) Run(c *console) error {
	gw, err := gateway.Open(r.Config)
	if err != nil {
		return err
	}
	defer gw.Close()
	if err := printRoutes(c.out, gw.Routes()); err != nil {
		return err
	}
	return printContracts(c.out, gw.Contracts())
}

// shownDigest is how much of a digest people need to see.
const shownDigest = 12

func printContracts(out io.Writer, contracts []gateway.Contract) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSERVICE\tCONTRACT FROM\tDIGEST")
	for _, c := range contracts {
		fmt.Fprintf(w, "%s\t%s\t%s\n", orDash(c.Service), source(c), orDash(c.Digest[:min(shownDigest, len(c.Digest))]))
	}
	return w.Flush()
}

func source(c gateway.Contract) string {
	switch {
	case c.Service == "":
		return "nowhere: backend " + c.Backend + " has not told its services"
	case c.Source == "":
		return "nowhere: proxied by name, gRPC only"
	}
	return c.Source
}

func printRoutes(out io.Writer, routes []gateway.Route) error {
	faces := severalFaces(routes)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if faces {
		fmt.Fprint(w, "LISTENER\tHOST\t")
	}
	fmt.Fprintln(w, "HTTP\tPATH\tGRPC METHOD\tBACKEND\tACCESS\tREST")
	for _, r := range routes {
		if faces {
			fmt.Fprintf(w, "%s\t%s\t", r.Listener, orDash(r.Host))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", orDash(r.HTTPMethod), orDash(r.Template), r.Method, r.Backend, access(r), handler(r))
	}
	return w.Flush()
}

// severalFaces tells whether what is served depends on the listener or on the host.
func severalFaces(routes []gateway.Route) bool {
	return slices.ContainsFunc(routes, func(r gateway.Route) bool { return r.Listener != routes[0].Listener || r.Host != "" })
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func access(r gateway.Route) string {
	if r.Public {
		return "public"
	}
	return "refused"
}

func handler(r gateway.Route) string {
	switch {
	case r.HTTPMethod == "":
		return "-"
	case r.Generated:
		return "generated"
	}
	return "compiled"
}
