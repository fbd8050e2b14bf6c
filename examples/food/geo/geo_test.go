package geo_test

import (
	"math"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/examples/food/geo"
	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
)

func connect(t *testing.T) geov1.GeoServiceClient {
	t.Helper()
	return geov1.NewGeoServiceClient(foodtest.Connect(t, func(r grpc.ServiceRegistrar) {
		geov1.RegisterGeoServiceServer(r, geo.New())
	}))
}

func TestAddressIsReadWithTolerance(t *testing.T) {
	c := connect(t)
	for address, want := range map[string]string{
		"12 Hinge Street":                    "12 Hinge Street, Old Town, Limen",
		"12 Hinge Street, Old Town, Limen":   "12 Hinge Street, Old Town, Limen",
		"Hinge Street 12":                    "12 Hinge Street, Old Town, Limen",
		"hinge st. 12b":                      "12b Hinge Street, Old Town, Limen",
		"12, HINGE STR":                      "12 Hinge Street, Old Town, Limen",
		"Hinge 12":                           "12 Hinge Street, Old Town, Limen",
		"2nd floor, 7 Threshold Ave":         "7 Threshold Avenue, Riverside, Limen",
		"Ann Lee\n3 Latch Ln.\nring twice":   "3 Latch Lane, Old Town, Limen",
		"Keystone Sq":                        "Keystone Square, Old Town, Limen",
		"0 Lintel Rd":                        "Lintel Road, Northgate, Limen",
		"12abc Janus Gate":                   "Janus Gate, Northgate, Limen",
		"1 Lighthouse Road (not the harbor)": "1 Lighthouse Road, The Outpost, Limen",
		"Hinge Avenue corner 2 Portcullis":   "2 Portcullis Quay, Harbor, Limen",
	} {
		t.Run(address, func(t *testing.T) {
			got := foodtest.Call(t, c.Geocode, &geov1.GeocodeRequest{Address: address})
			if got.GetFormattedAddress() != want {
				t.Errorf("got %q, want %q", got.GetFormattedAddress(), want)
			}
		})
	}
}

func TestAddressThatIsNoneOfTheCity(t *testing.T) {
	c := connect(t)
	for address, want := range map[string]string{
		"10 Downing Street":   "STREET_UNKNOWN",
		"12 Hinge Avenue":     "STREET_UNKNOWN",
		"12":                  "STREET_UNKNOWN",
		"...":                 "STREET_UNKNOWN",
		"6 Lighthouse Road":   "HOUSE_NUMBER_UNKNOWN",
		"Keystone Square 17a": "HOUSE_NUMBER_UNKNOWN",
	} {
		t.Run(address, func(t *testing.T) {
			foodtest.Reason(t, foodtest.Refused(t, c.Geocode, &geov1.GeocodeRequest{Address: address}), codes.NotFound, want)
		})
	}
}

func TestAddressIsRequired(t *testing.T) {
	foodtest.Violations(t, foodtest.Refused(t, connect(t).Geocode, &geov1.GeocodeRequest{}), "address")
}

func TestHousesAreSpreadEvenlyAlongTheStreet(t *testing.T) {
	c := connect(t)
	for address, want := range map[string][2]float64{
		"1 Lighthouse Road": {45.2600, 13.2100},
		"2 Lighthouse Road": {45.2605, 13.2110},
		"5 Lighthouse Road": {45.2620, 13.2140},
		"Lighthouse Road":   {45.2610, 13.2120},
	} {
		got := foodtest.Call(t, c.Geocode, &geov1.GeocodeRequest{Address: address})
		lat, long := got.GetLocation().GetLatitude(), got.GetLocation().GetLongitude()
		if math.Abs(lat-want[0]) > 1e-9 || math.Abs(long-want[1]) > 1e-9 || got.GetDistrict() != "The Outpost" {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}
