package catalog_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/examples/food/catalog"
)

// TestRestaurantsAreOrderedByName because pages of them are cut by name.
func TestRestaurantsAreOrderedByName(t *testing.T) {
	var names []string
	for _, r := range catalog.Restaurants() {
		names = append(names, r.Name())
		if found, ok := catalog.Find(r.Name()); !ok || found.ID != r.ID {
			t.Errorf("Find(%q) is %v, %v", r.Name(), found, ok)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != len(names) {
		t.Errorf("got %v", names)
	}
}

func TestDishesOfARestaurantDiffer(t *testing.T) {
	for _, r := range catalog.Restaurants() {
		for _, d := range r.Dishes {
			if found, ok := r.Dish(d.ID); !ok || found != d || d.Cents <= 0 || d.Portions <= 0 {
				t.Errorf("%s: %v, found %v", r.ID, d, found)
			}
		}
	}
}

func TestMoney(t *testing.T) {
	for cents, want := range map[int64]*money.Money{
		0:    {CurrencyCode: "EUR"},
		5:    {CurrencyCode: "EUR", Nanos: 50_000_000},
		1999: {CurrencyCode: "EUR", Units: 19, Nanos: 990_000_000},
	} {
		if diff := cmp.Diff(want, catalog.Money(cents), protocmp.Transform()); diff != "" {
			t.Errorf("Money(%d): -want +got:\n%s", cents, diff)
		}
	}
}
