package payment_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/payment"
	"github.com/cardea-gateway/cardea/examples/food/store"
	paymentv1 "github.com/cardea-gateway/cardea/gen/go/food/payment/v1"
)

const requestID = "5b0b0f2e-9d0e-4f0a-8a55-3f6f0a6b7c01"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T) paymentv1.PaymentServiceClient {
	t.Helper()
	return paymentv1.NewPaymentServiceClient(foodtest.Connect(t, func(r grpc.ServiceRegistrar) {
		paymentv1.RegisterPaymentServiceServer(r, payment.New(store.NewMemory()))
	}))
}

// charge is a request for 20 euros from a card.
func charge(token string) *paymentv1.ChargeCardRequest {
	return &paymentv1.ChargeCardRequest{
		Charge: &paymentv1.Charge{
			Order:     "orders/1",
			Amount:    &money.Money{CurrencyCode: "EUR", Units: 20},
			CardToken: token,
		},
		RequestId: requestID,
	}
}

func TestChargeNeverShowsTheCard(t *testing.T) {
	c := connect(t)
	got := foodtest.Call(t, c.ChargeCard, charge("tok_visa"))
	if got.GetState() != paymentv1.Charge_STATE_CAPTURED || got.GetCardToken() != "" {
		t.Errorf("got %v", got)
	}
	kept := foodtest.Call(t, c.GetCharge, &paymentv1.GetChargeRequest{Name: got.GetName()})
	if diff := cmp.Diff(got, kept, protocmp.Transform()); diff != "" {
		t.Errorf("kept differently, -want +got:\n%s", diff)
	}
}

func TestChargeWithTheSameRequestIDTakesMoneyOnce(t *testing.T) {
	c := connect(t)
	first, second := foodtest.Call(t, c.ChargeCard, charge("tok_visa")), foodtest.Call(t, c.ChargeCard, charge("tok_visa"))
	if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
		t.Errorf("-first +second:\n%s", diff)
	}
	err := foodtest.Refused(t, c.ChargeCard, charge("tok_other"))
	foodtest.Reason(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
}

func TestCardThatDoesNotPay(t *testing.T) {
	for token, want := range map[string]string{
		payment.TokenDeclined:          "CARD_DECLINED",
		payment.TokenInsufficientFunds: "INSUFFICIENT_FUNDS",
	} {
		t.Run(token, func(t *testing.T) {
			c := connect(t)
			for range 2 { // sent again it ends as before
				facts := foodtest.Reason(t, foodtest.Refused(t, c.ChargeCard, charge(token)), codes.FailedPrecondition, want)
				if facts["order"] != "orders/1" {
					t.Errorf("facts %v", facts)
				}
			}
		})
	}
}

func TestChargeNamesTheWrongFields(t *testing.T) {
	c := connect(t)
	for name, tt := range map[string]struct {
		amount *money.Money
		token  string
		want   []string
	}{
		"nothing":         {&money.Money{CurrencyCode: "EUR"}, "tok_visa", []string{"charge.amount"}},
		"less":            {&money.Money{CurrencyCode: "EUR", Units: -1}, "tok_visa", []string{"charge.amount"}},
		"too much":        {&money.Money{CurrencyCode: "EUR", Units: 10_001}, "tok_visa", []string{"charge.amount"}},
		"no amount":       {nil, "tok_visa", []string{"charge.amount"}},
		"dollars, number": {&money.Money{CurrencyCode: "USD", Units: 1}, "4111", []string{"charge.amount", "charge.card_token"}},
	} {
		t.Run(name, func(t *testing.T) {
			req := charge(tt.token)
			req.Charge.Amount = tt.amount
			foodtest.Violations(t, foodtest.Refused(t, c.ChargeCard, req), tt.want...)
		})
	}
}

func TestRefundHappensOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t)
		paid := foodtest.Call(t, c.ChargeCard, charge("tok_visa"))
		first := foodtest.Call(t, c.RefundCharge, &paymentv1.RefundChargeRequest{Name: paid.GetName(), Reason: "cold"})
		if first.GetState() != paymentv1.Charge_STATE_REFUNDED || first.GetRefundReason() != "cold" || first.GetRefundTime() == nil {
			t.Errorf("got %v", first)
		}
		foodtest.Pass(time.Second)
		second := foodtest.Call(t, c.RefundCharge, &paymentv1.RefundChargeRequest{Name: paid.GetName(), Reason: "burnt"})
		if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
			t.Errorf("-first +second:\n%s", diff)
		}
	})
}

func TestUnknownChargeIsNotFound(t *testing.T) {
	c := connect(t)
	foodtest.Code(t, foodtest.Refused(t, c.GetCharge, &paymentv1.GetChargeRequest{Name: "charges/none"}), codes.NotFound)
	foodtest.Code(t, foodtest.Refused(t, c.RefundCharge, &paymentv1.RefundChargeRequest{Name: "charges/none"}), codes.NotFound)
}
