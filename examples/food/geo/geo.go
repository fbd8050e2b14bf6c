// Package geo is the geocoding service of Limen: a table of streets (streets.go) and a tolerant reader of addresses
// (address.go).
package geo

import (
	"context"
	"fmt"

	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
)

type service struct {
	geov1.UnimplementedGeoServiceServer
}

// New returns the service. It has no state.
func New() geov1.GeoServiceServer {
	return service{}
}

// Geocode implements the service.
func (service) Geocode(_ context.Context, req *geov1.GeocodeRequest) (*geov1.GeocodeResponse, error) {
	a, ok := parse(req.GetAddress())
	if !ok {
		return nil, unknown("STREET_UNKNOWN", "names no street of Limen")
	}
	if a.number > a.street.last {
		return nil, unknown("HOUSE_NUMBER_UNKNOWN", fmt.Sprintf("%s ends at number %d", a.street.name, a.street.last))
	}
	return &geov1.GeocodeResponse{
		Location:         a.street.at(a.number),
		FormattedAddress: a.format(),
		District:         a.street.district,
	}, nil
}

func unknown(reason, description string) error {
	return refusal.Unknown(reason, refusal.Field{Path: "address", Description: description})
}
