package weighted

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/serviceconfig"
)

const (
	slowStart  = "slowStart"
	preferZone = "preferZone"

	shortestStart = 100 * time.Millisecond // There is no time for steps in less.
	longestStart  = time.Hour              // More is a slip of the unit: nobody wants to wait for it.
	longestZone   = 256
)

// Config is the configuration of the balancer, as a service configuration has it under [Name]. It marshals to what the balancer
// reads:
//
//	{"slowStart":"30s","preferZone":"eu-1a"}
type Config struct {
	// SlowStart is how long an instance takes from a tenth of its share to all of it, once it has become ready: 100 milliseconds to
	// one hour. 0 is no time: it gets its share at once.
	SlowStart time.Duration
	// PreferZone is the zone whose instances get the calls while they can take them. Empty: all zones are the same.
	PreferZone string
}

// MarshalJSON leaves out what is zero.
func (c Config) MarshalJSON() ([]byte, error) {
	fields := map[string]string{}
	if c.SlowStart != 0 {
		fields[slowStart] = c.SlowStart.String()
	}
	if c.PreferZone != "" {
		fields[preferZone] = c.PreferZone
	}
	return json.Marshal(fields)
}

// parsed is a configuration as grpc carries it.
type parsed struct {
	serviceconfig.LoadBalancingConfig
	Config
}

// ParseConfig reads a Config. grpc would forgive fields that it does not know; here a slip of the pen is an error.
func (builder) ParseConfig(text json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return nil, fmt.Errorf("%s: the configuration %.100q is not a JSON object: want one such as {%q:\"30s\",%q:\"eu-1a\"}, or {}",
			Name, text, slowStart, preferZone)
	}
	var c parsed
	for field, value := range fields {
		if err := set(&c.Config, field, value); err != nil {
			return nil, fmt.Errorf("%s: field %q: %w", Name, field, err)
		}
	}
	return &c, nil
}

func set(c *Config, field string, value any) (err error) {
	text, ok := value.(string)
	switch {
	case field != slowStart && field != preferZone:
		return fmt.Errorf("there is none of that name: want %s or %s", slowStart, preferZone)
	case !ok:
		return fmt.Errorf("%v is no text: put it in quotes, or leave the field out", value)
	case field == slowStart:
		c.SlowStart, err = parseStart(text)
	default:
		c.PreferZone, err = parseZone(text)
	}
	return err
}

func parseStart(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d != 0 && (d < shortestStart || d > longestStart) {
		return 0, fmt.Errorf("%.100q: want a duration in h, m, s or ms, such as 30s: from %v to %v, or 0s for none",
			text, shortestStart, longestStart)
	}
	return d, nil
}

func parseZone(zone string) (string, error) {
	switch {
	case len(zone) > longestZone:
		return "", fmt.Errorf("%d bytes are too long for the name of a zone: want at most %d", len(zone), longestZone)
	case strings.TrimSpace(zone) != zone || strings.ContainsFunc(zone, unicode.IsControl):
		return "", errors.New("blanks around a name, or control characters in it: no registry knows such a zone")
	}
	return zone, nil
}
