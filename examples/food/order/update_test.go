package order_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/store"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func TestUpdateChangesWhatTheMaskNames(t *testing.T) {
	values := &orderv1.Order{
		Items:           []*orderv1.OrderItem{{MenuItem: "truffle", Quantity: 1}},
		DeliveryAddress: "9 Latch Lane",
		Customer:        "customers/eve",
	}
	// Everything but the note is set, so that a mask can empty the note.
	for name, tt := range map[string]struct {
		mask []string
		want func(*orderv1.Order)
	}{
		"one field": {[]string{"delivery_address"}, func(o *orderv1.Order) { o.DeliveryAddress = "9 Latch Lane" }},
		"to empty":  {[]string{"note"}, func(o *orderv1.Order) { o.Note = "" }},
		"twice":     {[]string{"note", "note"}, func(o *orderv1.Order) { o.Note = "" }},
		"new total": {[]string{"items"}, func(o *orderv1.Order) {
			o.Items = values.GetItems()
			o.Total.Units, o.Total.Nanos = 24, 500_000_000
		}},
		"the name, as gateways do": {[]string{"name", "note"}, func(o *orderv1.Order) { o.Note = "" }},
		"no mask: what is set": {nil, func(o *orderv1.Order) {
			o.DeliveryAddress, o.Items = "9 Latch Lane", values.GetItems()
			o.Total.Units, o.Total.Nanos = 24, 500_000_000
		}},
		"star: all there is": {[]string{"*"}, func(o *orderv1.Order) {
			o.DeliveryAddress, o.Items, o.Note = "9 Latch Lane", values.GetItems(), ""
			o.Total.Units, o.Total.Nanos = 24, 500_000_000
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, want := ago(t, 0)
				req := &orderv1.UpdateOrderRequest{Order: proto.CloneOf(values), UpdateMask: &fieldmaskpb.FieldMask{Paths: tt.mask}}
				req.Order.Name = want.GetName()
				got := foodtest.Call(t, c.UpdateOrder, req)
				if !got.GetUpdateTime().AsTime().After(want.GetUpdateTime().AsTime()) {
					t.Errorf("updated at %v", got.GetUpdateTime().AsTime())
				}
				tt.want(want)
				want.UpdateTime = got.GetUpdateTime()
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if diff := cmp.Diff(got, get(t, c, got.GetName()), protocmp.Transform()); diff != "" {
					t.Errorf("kept differently, -want +got:\n%s", diff)
				}
			})
		})
	}
}

func TestUpdateOfNothingChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := ago(t, 0)
		got := foodtest.Call(t, c.UpdateOrder, &orderv1.UpdateOrderRequest{Order: &orderv1.Order{Name: o.GetName()}})
		if diff := cmp.Diff(o, got, protocmp.Transform()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestUpdateNamesTheWrongFields(t *testing.T) {
	c := connect(t, store.NewMemory())
	o := foodtest.Call(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: supper()})
	for name, tt := range map[string]struct {
		mask   []string
		values *orderv1.Order
		want   string
	}{
		"immutable field":   {[]string{"customer"}, &orderv1.Order{Customer: "customers/eve"}, "update_mask"},
		"output only field": {[]string{"status"}, &orderv1.Order{Status: orderv1.Order_STATUS_DELIVERED}, "update_mask"},
		"unknown path":      {[]string{"notes"}, &orderv1.Order{}, "update_mask"},
		"part of a list":    {[]string{"items.quantity"}, &orderv1.Order{}, "update_mask"},
		"star and more":     {[]string{"*", "note"}, &orderv1.Order{}, "update_mask"},
		"emptied address":   {[]string{"delivery_address"}, &orderv1.Order{}, "order.delivery_address"},
		"no items":          {[]string{"*"}, &orderv1.Order{DeliveryAddress: "here"}, "order.items"},
		"not on the menu": {
			[]string{"items"},
			&orderv1.Order{Items: []*orderv1.OrderItem{{MenuItem: "ramen", Quantity: 1}}}, "order.items[0].menu_item",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.values.Name = o.GetName()
			req := &orderv1.UpdateOrderRequest{Order: tt.values, UpdateMask: &fieldmaskpb.FieldMask{Paths: tt.mask}}
			foodtest.Violations(t, foodtest.Refused(t, c.UpdateOrder, req), tt.want)
			if got := get(t, c, o.GetName()); got.GetNote() != "ring twice" || got.GetDeliveryAddress() != "12 Hinge Street" {
				t.Errorf("changed all the same: %v", got)
			}
		})
	}
}

func TestUpdateHasDeadlines(t *testing.T) {
	for _, tt := range []struct {
		paces        int
		items, other bool // whether they can be changed
	}{
		{0, true, true}, {1, false, true}, {2, false, true}, {3, false, false}, {4, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, o := ago(t, tt.paces)
			for path, want := range map[string]bool{"items": tt.items, "delivery_address": tt.other, "note": tt.other} {
				_, err := c.UpdateOrder(t.Context(), &orderv1.UpdateOrderRequest{
					Order: o, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}},
				})
				if (err == nil) != want {
					t.Errorf("%s after %d paces: %v", path, tt.paces, err)
				}
				if err != nil {
					foodtest.Reason(t, err, codes.FailedPrecondition, "ORDER_NOT_CHANGEABLE")
				}
			}
		})
	}
}

func TestUpdateAfterTheDeadlineOfOneFieldChangesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := ago(t, 1)
		o.Note = "ring once"
		foodtest.Code(t, foodtest.Refused(t, c.UpdateOrder, &orderv1.UpdateOrderRequest{
			Order: o, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"note", "items"}},
		}), codes.FailedPrecondition)
		if got := get(t, c, o.GetName()).GetNote(); got != "ring twice" {
			t.Errorf("note %q", got)
		}
	})
}

func TestCancelIsPossibleUntilTheOrderLeaves(t *testing.T) {
	for paces, possible := range []bool{true, true, true, false, false} {
		synctest.Test(t, func(t *testing.T) {
			c, o := ago(t, paces)
			req := &orderv1.CancelOrderRequest{Name: o.GetName(), Reason: "not hungry"}
			if !possible {
				facts := foodtest.Reason(t, foodtest.Refused(t, c.CancelOrder, req), codes.FailedPrecondition, "ORDER_NOT_CANCELABLE")
				if facts["order"] != o.GetName() || facts["status"] == "" {
					t.Errorf("after %d paces: facts %v", paces, facts)
				}
				return
			}
			got := foodtest.Call(t, c.CancelOrder, req)
			if got.GetStatus() != orderv1.Order_STATUS_CANCELLED || got.GetCancelReason() != "not hungry" {
				t.Errorf("after %d paces: %v", paces, got)
			}
		})
	}
}

func TestCanceledOrderStaysAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := ago(t, 1)
		want := foodtest.Call(t, c.CancelOrder, &orderv1.CancelOrderRequest{Name: o.GetName(), Reason: "not hungry"})
		foodtest.Pass(9 * pace)
		got := foodtest.Call(t, c.CancelOrder, &orderv1.CancelOrderRequest{Name: o.GetName(), Reason: "another"})
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("-first +second:\n%s", diff)
		}
		foodtest.Reason(t, foodtest.Refused(t, c.UpdateOrder, &orderv1.UpdateOrderRequest{Order: o}),
			codes.FailedPrecondition, "ORDER_NOT_CHANGEABLE")
	})
}

func TestRequestWithoutAProperNameIsRefused(t *testing.T) {
	c := connect(t, store.NewMemory())
	foodtest.Violations(t, foodtest.Refused(t, c.GetOrder, &orderv1.GetOrderRequest{Name: "requests/1"}), "name")
	// The rule is one of the whole message, so it names no field.
	err := foodtest.Refused(t, c.UpdateOrder, &orderv1.UpdateOrderRequest{Order: &orderv1.Order{Name: "requests/1"}})
	foodtest.Violations(t, err, "")
}
