package delivery

import (
	"context"
	"math"

	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	"github.com/cardea-gateway/cardea/examples/food/store"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
)

type driver struct {
	name, displayName, vehicle string
	latitude, longitude        float64 // where the driver waits until the phone says otherwise
}

// drivers is never changed.
var drivers = []driver{
	{"drivers/ada", "Ada", "cargo bike", 45.0020, 13.0040},
	{"drivers/bela", "Bela", "scooter", 45.0110, 12.9900},
	{"drivers/cosmo", "Cosmo", "bicycle", 44.9950, 13.0100},
	{"drivers/dora", "Dora", "van", 44.9830, 13.0450},
}

func find(name string) (driver, bool) {
	for _, d := range drivers {
		if d.name == name {
			return d, true
		}
	}
	return driver{}, false
}

// fleet is the drivers with their last positions.
type fleet struct {
	store store.Store
}

const positions = "positions/"

// move keeps a position for all instances. The last one wins.
func (f fleet) move(ctx context.Context, p *deliveryv1.DriverPosition) error {
	value, err := proto.Marshal(p)
	if err != nil {
		return refusal.Storage(err)
	}
	if _, err := f.store.Put(ctx, positions+p.GetDriver(), value, store.Any); err != nil {
		return refusal.Storage(err)
	}
	return nil
}

// nearest returns the driver who is nearest to a place, and the way in meters.
func (f fleet) nearest(ctx context.Context, place *latlng.LatLng) (*deliveryv1.Driver, float64, error) {
	moved, err := f.moved(ctx)
	if err != nil {
		return nil, 0, err
	}
	var best driver
	shortest := math.Inf(1)
	for _, d := range drivers {
		if way := distance(d.position(moved), place); way < shortest {
			best, shortest = d, way
		}
	}
	return &deliveryv1.Driver{Name: best.name, DisplayName: best.displayName, Vehicle: best.vehicle}, shortest, nil
}

// moved returns the positions that phones have sent, by driver.
func (f fleet) moved(ctx context.Context) (map[string]*latlng.LatLng, error) {
	entries, err := f.store.List(ctx, store.Page{Prefix: positions})
	if err != nil {
		return nil, refusal.Storage(err)
	}
	moved := make(map[string]*latlng.LatLng, len(entries))
	for _, e := range entries {
		p := &deliveryv1.DriverPosition{}
		if err := proto.Unmarshal(e.Value, p); err != nil {
			return nil, refusal.Storage(err)
		}
		moved[p.GetDriver()] = p.GetLocation()
	}
	return moved, nil
}

func (d driver) position(moved map[string]*latlng.LatLng) *latlng.LatLng {
	if p, ok := moved[d.name]; ok {
		return p
	}
	return &latlng.LatLng{Latitude: d.latitude, Longitude: d.longitude}
}
