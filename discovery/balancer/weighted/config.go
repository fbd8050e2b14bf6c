package weighted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/serviceconfig"
)

// Config is the configuration of the balancer, as JSON in a service config. The zero value is weights alone.
type Config struct {
	serviceconfig.LoadBalancingConfig `json:"-"`

	// SlowStart is how long an instance that has become ready takes to get its whole share; it begins with a tenth. Zero: at once.
	SlowStart Duration `json:"slowStart,omitempty"`
	// PreferZone is the zone whose instances are called first. Empty: all zones are alike.
	PreferZone string `json:"preferZone,omitempty"`
}

// Duration is a time.Duration that JSON has as text, such as "30s".
type Duration time.Duration

// MarshalText writes it as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads it as Go does. It fails for less than nothing.
func (d *Duration) UnmarshalText(text []byte) error {
	value, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("%q is no duration; want one such as 30s", text)
	case value < 0:
		return fmt.Errorf("%s is negative; want 0s or more", text)
	}
	*d = Duration(value)
	return nil
}

// ParseConfig reads a configuration. It fails for what it does not know, which grpc would ignore.
func (builder) ParseConfig(text json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	c := &Config{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(c); err != nil {
		return nil, fmt.Errorf("weighted: configuration: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("weighted: configuration: more than one value")
	}
	return c, nil
}
