package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/cardea-gateway/cardea/gateway"
)

// routesCommand prints what a gateway serves.
type routesCommand struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

// Run prints a line for each route. It connects to nothing.
func (r *routesCommand) Run(c *console) error {
	gw, err := gateway.Open(r.Config, linked()...)
	if err != nil {
		return err
	}
	defer gw.Close()
	return printRoutes(c.out, gw.Routes())
}

func printRoutes(out io.Writer, routes []gateway.Route) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HTTP\tPATH\tGRPC METHOD\tBACKEND\tACCESS\tREST")
	for _, r := range routes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", orDash(r.HTTPMethod), orDash(r.Template), r.Method, r.Backend, access(r), handler(r))
	}
	return w.Flush()
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
	case r.Linked:
		return "linked"
	}
	return "not linked (501)"
}
