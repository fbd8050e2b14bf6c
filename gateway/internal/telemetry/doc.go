// Package telemetry tells operators what the gateway does: metrics for Prometheus, and a log line for each request.
package telemetry
