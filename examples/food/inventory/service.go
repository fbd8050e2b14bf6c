package inventory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cardea-gateway/cardea/examples/food/catalog"
	"github.com/cardea-gateway/cardea/examples/food/internal/page"
	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	"github.com/cardea-gateway/cardea/examples/food/store"
	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
)

const restaurantType = "food.example/Restaurant"

type service struct {
	inventoryv1.UnimplementedInventoryServiceServer
	ledgers      ledgers
	reservations record.Table[inventoryv1.Reservation, *inventoryv1.Reservation]
}

// New returns the service on the stock of a store.
func New(s store.Store) inventoryv1.InventoryServiceServer {
	return &service{
		ledgers:      ledgers{store: s},
		reservations: record.NewTable[inventoryv1.Reservation](s, "food.example/Reservation", "reservations"),
	}
}

// ListRestaurants implements the service.
func (s *service) ListRestaurants(
	_ context.Context, req *inventoryv1.ListRestaurantsRequest,
) (*inventoryv1.ListRestaurantsResponse, error) {
	const query = "restaurants"
	after, err := page.After(query, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	resp := &inventoryv1.ListRestaurantsResponse{}
	for _, r := range catalog.Restaurants() {
		if r.Name() <= after {
			continue
		}
		if len(resp.GetRestaurants()) == page.Size(req.GetPageSize()) {
			last := resp.GetRestaurants()[len(resp.GetRestaurants())-1]
			resp.NextPageToken = page.Token(query, last.GetName())
			break
		}
		resp.Restaurants = append(resp.Restaurants, restaurant(r))
	}
	return resp, nil
}

func restaurant(r catalog.Restaurant) *inventoryv1.Restaurant {
	return &inventoryv1.Restaurant{
		Name:        r.Name(),
		DisplayName: r.Title,
		Cuisine:     r.Cuisine,
		Address:     r.Address,
		Location:    r.Location(),
	}
}

// GetMenu implements the service.
func (s *service) GetMenu(_ context.Context, req *inventoryv1.GetMenuRequest) (*inventoryv1.Menu, error) {
	r, ok := catalog.Find(strings.TrimSuffix(req.GetName(), "/menu"))
	if !ok {
		return nil, refusal.NotFound("food.example/Menu", req.GetName())
	}
	menu := &inventoryv1.Menu{Name: req.GetName()}
	for _, d := range r.Dishes {
		menu.Items = append(menu.Items, &inventoryv1.MenuItem{
			Id:          d.ID,
			DisplayName: d.Title,
			Description: d.Description,
			Price:       d.Price(),
		})
	}
	return menu, nil
}

// CheckStock implements the service.
func (s *service) CheckStock(
	ctx context.Context, req *inventoryv1.CheckStockRequest,
) (*inventoryv1.CheckStockResponse, error) {
	r, ok := catalog.Find(req.GetRestaurant())
	if !ok {
		return nil, refusal.NotFound(restaurantType, req.GetRestaurant())
	}
	dishes, err := choose(r, req.GetMenuItems())
	if err != nil {
		return nil, err
	}
	held, err := s.ledgers.read(ctx, r, time.Now())
	if err != nil {
		return nil, err
	}
	resp := &inventoryv1.CheckStockResponse{}
	for _, d := range dishes {
		resp.Levels = append(resp.Levels, &inventoryv1.StockLevel{MenuItem: d.ID, Available: held.available(d)})
	}
	return resp, nil
}

// choose returns the dishes of the ids, or all if there are none.
func choose(r catalog.Restaurant, ids []string) ([]catalog.Dish, error) {
	if len(ids) == 0 {
		return r.Dishes, nil
	}
	var chosen []catalog.Dish
	var unknown []refusal.Field
	for i, id := range ids {
		d, ok := r.Dish(id)
		if !ok {
			unknown = append(unknown, notOnMenu(fmt.Sprintf("menu_items[%d]", i), id, r))
		}
		chosen = append(chosen, d)
	}
	if unknown != nil {
		return nil, refusal.Invalid(unknown...)
	}
	return chosen, nil
}

func notOnMenu(path, id string, r catalog.Restaurant) refusal.Field {
	return refusal.Field{Path: path, Description: fmt.Sprintf("%q is not on the menu of %s", id, r.Name())}
}
