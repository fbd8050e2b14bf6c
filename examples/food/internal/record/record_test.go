package record_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/store"
	paymentv1 "github.com/cardea-gateway/cardea/gen/go/food/payment/v1"
)

const requestID = "5b0b0f2e-9d0e-4f0a-8a55-3f6f0a6b7c01"

func charges(s store.Store) record.Table[paymentv1.Charge, *paymentv1.Charge] {
	return record.NewTable[paymentv1.Charge](s, "food.example/Charge", "charges")
}

func TestInputIsWhatAClientMaySet(t *testing.T) {
	sent := &paymentv1.Charge{
		Name:       "charges/1",
		Order:      "orders/1",
		Amount:     &money.Money{Units: 1},
		CardToken:  "tok_1",
		State:      paymentv1.Charge_STATE_REFUNDED,
		CreateTime: timestamppb.Now(),
	}
	got := record.Input(sent)
	want := &paymentv1.Charge{Order: "orders/1", Amount: &money.Money{Units: 1}, CardToken: "tok_1"}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if sent.GetName() == "" || got.GetAmount() == sent.GetAmount() {
		t.Error("not a copy")
	}
}

func TestNamesSortByCreation(t *testing.T) {
	var names []string
	for range 1000 {
		names = append(names, charges(nil).NewName())
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != 1000 {
		t.Error("names are not in order, or not unique")
	}
}

func TestCreateKeepsTheFirstOfAName(t *testing.T) {
	table := charges(store.NewMemory())
	for range 2 {
		got, err := table.Create(t.Context(), &paymentv1.Charge{Name: "charges/1", Order: "orders/1"})
		if err != nil || got.GetOrder() != "orders/1" {
			t.Errorf("got %v, %v", got, err)
		}
	}
	got, err := table.Create(t.Context(), &paymentv1.Charge{Name: "charges/1", Order: "orders/2"})
	if err != nil || got.GetOrder() != "orders/1" {
		t.Errorf("a second charge: got %v, %v", got, err)
	}
}

func TestClaimIsWonOnce(t *testing.T) {
	table := charges(store.NewMemory())
	names := make(chan string, 20)
	var group sync.WaitGroup
	for range cap(names) {
		group.Go(func() {
			c, err := table.Claim(t.Context(), requestID, &paymentv1.Charge{Name: table.NewName(), Order: "orders/1"})
			if err != nil {
				t.Error(err)
			}
			names <- c.GetName()
		})
	}
	group.Wait()
	for first := <-names; len(names) > 0; {
		if got := <-names; got != first {
			t.Errorf("both %s and %s", first, got)
		}
	}
}

func TestClaimsOfTwoCollectionsDoNotMeet(t *testing.T) {
	s := store.NewMemory()
	refunds := record.NewTable[paymentv1.Charge](s, "food.example/Refund", "refunds")
	if _, err := charges(s).Claim(t.Context(), requestID, &paymentv1.Charge{Order: "orders/1"}); err != nil {
		t.Error(err)
	}
	if _, err := refunds.Claim(t.Context(), requestID, &paymentv1.Charge{Order: "orders/2"}); err != nil {
		t.Error(err)
	}
}

func TestFindOfNothingIsNoError(t *testing.T) {
	if got, err := charges(store.NewMemory()).Find(t.Context(), "charges/1"); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestUpdatesSideBySideLoseNothing(t *testing.T) {
	table := charges(store.NewMemory())
	if _, err := table.Create(t.Context(), &paymentv1.Charge{Name: "charges/1", Amount: &money.Money{}}); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			_, err := table.Update(t.Context(), "charges/1", func(c *paymentv1.Charge) error {
				c.Amount.Units++
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got, err := table.Get(t.Context(), "charges/1"); err != nil || got.GetAmount().GetUnits() != 20 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	table := charges(store.NewMemory())
	if _, err := table.Create(t.Context(), &paymentv1.Charge{Name: "charges/1"}); err != nil {
		t.Fatal(err)
	}
	want := errors.New("no")
	_, err := table.Update(t.Context(), "charges/1", func(c *paymentv1.Charge) error {
		c.Order = "orders/1"
		return want
	})
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
	if got, _ := table.Get(t.Context(), "charges/1"); got.GetOrder() != "" {
		t.Errorf("kept %v", got)
	}
}

func TestSwapDoesNotWriteWhatIsThereAlready(t *testing.T) {
	s := store.NewMemory()
	for _, value := range []string{"a", "a", "b"} {
		err := record.Swap(t.Context(), s, "key", func([]byte) ([]byte, error) { return []byte(value), nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	if e, err := s.Get(t.Context(), "key"); err != nil || e.Revision != 2 {
		t.Errorf("got %v, %v; want the second revision", e, err)
	}
}

func TestSwapGivesUpWhenTheCallerDoes(t *testing.T) {
	s := store.NewMemory()
	ctx, cancel := context.WithCancel(t.Context())
	attempts := 0
	err := record.Swap(ctx, s, "key", func([]byte) ([]byte, error) {
		if attempts++; attempts == 3 {
			cancel()
		}
		_, err := s.Put(t.Context(), "key", fmt.Append(nil, attempts), store.Any) // Somebody else is always faster.
		return []byte("mine"), err
	})
	foodtest.Code(t, err, codes.Canceled)
}

func TestDamagedRecordIsAnInternalError(t *testing.T) {
	s := store.NewMemory()
	if _, err := s.Put(t.Context(), "charges/1", []byte{0xff}, store.Any); err != nil {
		t.Fatal(err)
	}
	table := charges(s)
	all := func(*paymentv1.Charge) bool { return true }
	_, get := table.Get(t.Context(), "charges/1")
	_, find := table.Find(t.Context(), "charges/1")
	_, update := table.Update(t.Context(), "charges/1", func(*paymentv1.Charge) error { return nil })
	_, _, list := table.List(t.Context(), "", "", 10, all)
	for _, err := range []error{get, find, update, list} {
		foodtest.Code(t, err, codes.Internal)
	}
}

func TestCallerWhoHasLeft(t *testing.T) {
	table := charges(store.NewMemory())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := &paymentv1.Charge{Name: "charges/1"}
	_, get := table.Get(ctx, "charges/1")
	_, find := table.Find(ctx, "charges/1")
	_, create := table.Create(ctx, c)
	_, claim := table.Claim(ctx, requestID, c)
	_, watch := table.Watch(ctx, "charges/1")
	_, _, list := table.List(ctx, "", "", 10, func(*paymentv1.Charge) bool { return true })
	for _, err := range []error{get, find, create, claim, watch, list} {
		foodtest.Code(t, err, codes.Canceled)
	}
}
