package delivery

import (
	"math"

	"google.golang.org/genproto/googleapis/type/latlng"
)

// earthRadius is the mean one, in meters.
const earthRadius = 6_371_000

// distance returns the great-circle distance in meters, by the haversine formula, which stays exact for small ones.
func distance(a, b *latlng.LatLng) float64 {
	lat1, lat2 := radians(a.GetLatitude()), radians(b.GetLatitude())
	h := haversine(lat2-lat1) + math.Cos(lat1)*math.Cos(lat2)*haversine(radians(b.GetLongitude()-a.GetLongitude()))
	return 2 * earthRadius * math.Asin(math.Sqrt(min(1, h)))
}

func haversine(angle float64) float64 {
	sin := math.Sin(angle / 2)
	return sin * sin
}

func radians(degrees float64) float64 {
	return degrees * math.Pi / 180
}
