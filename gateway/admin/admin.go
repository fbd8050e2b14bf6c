// Package admin is the admin address: what the gateway tells its operators over HTTP and gRPC.
package admin

import (
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
)

// Options of the admin handler. All fields are required.
type Options struct {
	// Ready tells whether the gateway takes new calls.
	Ready func() bool
	// Metrics serves the metrics.
	Metrics http.Handler
	// API serves the admin API and health over gRPC, and the former over REST.
	API http.Handler
}

// Handler returns the handler of the admin address:
//
//   - /livez answers 200 as long as the process can answer at all
//   - /readyz answers 200 while the gateway takes new calls, and 503 before that and once it was told to stop
//   - /metrics is for Prometheus
//   - /debug/pprof/ is for the Go profiler
//   - /v1/ and gRPC are cardea.admin.v1.AdminService and grpc.health.v1
//
// Requests that a page of another site makes a browser send are refused: those that could change anything, and profiles.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if o.Ready() {
			answer(w, http.StatusOK, "ok\n")
			return
		}
		answer(w, http.StatusServiceUnavailable, "not ready: starting or stopping\n")
	})
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("/v1/", o.API)
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if foreign(r) {
			answer(w, http.StatusForbidden, "not for browsers, but at an IP address or localhost\n")
			return
		}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			o.API.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// foreign tells whether a browser asks on behalf of another site: for a profile, which costs much, or by a name that the site
// has made point here (DNS rebinding). Tools that are no browsers may use any name.
func foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "" && r.Header.Get("Origin") == "" {
		return false
	}
	if site == "cross-site" && strings.HasPrefix(r.URL.Path, "/debug/") {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil && host != "localhost"
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // Who asked may have gone.
}
