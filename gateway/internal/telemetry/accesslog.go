package telemetry

import (
	"context"
	"log/slog"
	"time"

	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/policies/call"
)

// LogAccess writes the line of one request. The query string is left out, because it may hold what is secret or personal.
func LogAccess(ctx context.Context, log *slog.Logger, x frontend.Exchange, rec *frontend.Record) {
	read, written := x.Bytes()
	attrs := []slog.Attr{
		slog.String("protocol", rec.Protocol),
		slog.String("http_method", x.Method()),
		slog.String("path", x.Path()),
		slog.Int("http_status", x.Status()),
		slog.String("code", rec.Code.String()),
		slog.Float64("duration_ms", float64(time.Since(rec.Start).Microseconds())/1000),
		slog.Int64("bytes_read", read),
		slog.Int64("bytes_written", written),
		slog.String("client", rec.Reception.Client.Addr().String()),
		slog.String("request_id", rec.Reception.RequestID),
		slog.String("user_agent", x.Header().Get("user-agent")),
	}
	log.LogAttrs(ctx, slog.LevelInfo, "request", append(attrs, callAttrs(rec)...)...)
}

func callAttrs(rec *frontend.Record) []slog.Attr {
	var attrs []slog.Attr
	if rec.Method != nil {
		attrs = append(attrs, slog.String("method", rec.Method.FullName), slog.String("backend", rec.Method.Backend))
	}
	if rec.Call != nil {
		attrs = append(attrs, slog.String("instance", rec.Call.Upstream().Instance))
	}
	if rec.Err != nil {
		attrs = append(attrs, slog.String("origin", string(rec.Origin)),
			slog.String("reason", call.Reason(rec.Err)), slog.String("error", rec.Err.Error()))
	}
	return attrs
}
