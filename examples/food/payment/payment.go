// Package payment is the payment service, with a card network that lives in two test tokens.
package payment

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	"github.com/cardea-gateway/cardea/examples/food/store"
	paymentv1 "github.com/cardea-gateway/cardea/gen/go/food/payment/v1"
)

// The tokens that never pay.
const (
	TokenDeclined          = "tok_declined"
	TokenInsufficientFunds = "tok_insufficient_funds"
)

type service struct {
	paymentv1.UnimplementedPaymentServiceServer
	charges record.Table[paymentv1.Charge, *paymentv1.Charge]
}

// New returns the service on the charges of a store.
func New(s store.Store) paymentv1.PaymentServiceServer {
	return &service{charges: record.NewTable[paymentv1.Charge](s, "food.example/Charge", "charges")}
}

// ChargeCard implements the service.
func (s *service) ChargeCard(ctx context.Context, req *paymentv1.ChargeCardRequest) (*paymentv1.Charge, error) {
	c, err := s.charges.Claim(ctx, req.GetRequestId(), s.draft(req.GetCharge()))
	if err != nil {
		return nil, err
	}
	if err := authorize(c); err != nil {
		return nil, err
	}
	c.CardToken = "" // the charge that is kept and shown does not have it
	return s.charges.Create(ctx, c)
}

func (s *service) draft(sent *paymentv1.Charge) *paymentv1.Charge {
	c := record.Input(sent)
	c.Name = s.charges.NewName()
	c.State = paymentv1.Charge_STATE_CAPTURED
	c.CreateTime = timestamppb.New(time.Now())
	return c
}

// authorize asks the card network. Whether a card pays depends on nothing but its token, so a charge that is sent again
// ends as it did before.
func authorize(c *paymentv1.Charge) error {
	facts := map[string]string{"order": c.GetOrder()}
	switch c.GetCardToken() {
	case TokenDeclined:
		return refusal.Precondition("CARD_DECLINED", "the card was declined", facts)
	case TokenInsufficientFunds:
		return refusal.Precondition("INSUFFICIENT_FUNDS", "the card does not cover the amount", facts)
	default:
		return nil
	}
}

// GetCharge implements the service.
func (s *service) GetCharge(ctx context.Context, req *paymentv1.GetChargeRequest) (*paymentv1.Charge, error) {
	return s.charges.Get(ctx, req.GetName())
}

// RefundCharge implements the service.
func (s *service) RefundCharge(ctx context.Context, req *paymentv1.RefundChargeRequest) (*paymentv1.Charge, error) {
	return s.charges.Update(ctx, req.GetName(), func(c *paymentv1.Charge) error {
		if c.GetState() == paymentv1.Charge_STATE_REFUNDED {
			return nil
		}
		c.State = paymentv1.Charge_STATE_REFUNDED
		c.RefundTime = timestamppb.New(time.Now())
		c.RefundReason = req.GetReason()
		return nil
	})
}
