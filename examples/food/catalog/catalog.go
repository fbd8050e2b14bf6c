// Package catalog is the restaurants of Limen with their menus: the one table from which the inventory service answers
// and by which the order service computes totals.
package catalog

import (
	"slices"

	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/genproto/googleapis/type/money"
)

// Currency is what everything is priced in.
const Currency = "EUR"

// Restaurant is a kitchen with its menu.
type Restaurant struct {
	ID        string
	Title     string
	Cuisine   string
	Address   string
	Latitude  float64
	Longitude float64
	Dishes    []Dish
}

// Dish is one line of a menu.
type Dish struct {
	ID          string
	Title       string
	Description string
	Cents       int64
	Portions    int32 // how many the kitchen has ready at a time
}

// Restaurants returns all restaurants, ordered by name.
func Restaurants() []Restaurant {
	return slices.Clone(restaurants)
}

// Find returns the restaurant of a resource name, such as "restaurants/hinge-pizza".
func Find(name string) (Restaurant, bool) {
	i := slices.IndexFunc(restaurants, func(r Restaurant) bool { return r.Name() == name })
	if i < 0 {
		return Restaurant{}, false
	}
	return restaurants[i], true
}

// Name returns the resource name.
func (r Restaurant) Name() string {
	return "restaurants/" + r.ID
}

// Location returns where the restaurant is.
func (r Restaurant) Location() *latlng.LatLng {
	return &latlng.LatLng{Latitude: r.Latitude, Longitude: r.Longitude}
}

// Dish returns the dish of an id.
func (r Restaurant) Dish(id string) (Dish, bool) {
	i := slices.IndexFunc(r.Dishes, func(d Dish) bool { return d.ID == id })
	if i < 0 {
		return Dish{}, false
	}
	return r.Dishes[i], true
}

// Price returns what one portion costs.
func (d Dish) Price() *money.Money {
	return Money(d.Cents)
}

// Money returns an amount of cents.
func Money(cents int64) *money.Money {
	return &money.Money{CurrencyCode: Currency, Units: cents / 100, Nanos: int32(cents%100) * 10_000_000}
}
