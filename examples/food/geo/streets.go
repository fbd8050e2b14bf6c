package geo

import "google.golang.org/genproto/googleapis/type/latlng"

// street is a straight line on the map with houses from 1 to last, evenly spread.
type street struct {
	name     string // first word, then the kind of street
	district string
	last     int
	from, to point
}

type point struct{ latitude, longitude float64 }

// streets is never changed. The first words differ, so that one is enough to know the street.
var streets = []street{
	{name: "Hinge Street", district: "Old Town", last: 80, from: point{45.0010, 13.0025}, to: point{45.0050, 13.0125}},
	{name: "Latch Lane", district: "Old Town", last: 24, from: point{45.0040, 12.9960}, to: point{45.0058, 12.9979}},
	{name: "Keystone Square", district: "Old Town", last: 16, from: point{44.9960, 13.0110}, to: point{44.9970, 13.0118}},
	{name: "Janus Gate", district: "Northgate", last: 60, from: point{45.0090, 12.9900}, to: point{45.0130, 12.9942}},
	{name: "Lintel Road", district: "Northgate", last: 140, from: point{45.0135, 12.9950}, to: point{45.0240, 13.0040}},
	{name: "Postern Row", district: "Riverside", last: 36, from: point{44.9900, 12.9980}, to: point{44.9880, 13.0040}},
	{name: "Threshold Avenue", district: "Riverside", last: 220, from: point{44.9930, 13.0150}, to: point{44.9760, 13.0420}},
	{name: "Portcullis Quay", district: "Harbor", last: 48, from: point{44.9840, 13.0460}, to: point{44.9805, 13.0530}},
	{name: "Lighthouse Road", district: "The Outpost", last: 5, from: point{45.2600, 13.2100}, to: point{45.2620, 13.2140}},
}

// at returns where a house is: the middle of the street for number 0.
func (s street) at(number int) *latlng.LatLng {
	way := 0.5
	if number > 0 {
		way = float64(number-1) / float64(max(1, s.last-1))
	}
	return &latlng.LatLng{
		Latitude:  s.from.latitude + way*(s.to.latitude-s.from.latitude),
		Longitude: s.from.longitude + way*(s.to.longitude-s.from.longitude),
	}
}
