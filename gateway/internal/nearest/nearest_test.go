package nearest

import "testing"

func TestName(t *testing.T) {
	for name, tc := range map[string]struct {
		name       string
		candidates []string
		want       string
	}{
		"a letter too many":            {"listenerss", []string{"admin", "listeners"}, "listeners"},
		"two letters changed places":   {"tsl", []string{"address", "tls"}, "tls"},
		"a letter left out":            {"tl", []string{"address", "tls"}, "tls"},
		"another case":                 {"ORDERS", []string{"orders"}, "orders"},
		"the end of a dotted name":     {"OrderService", []string{"food.order.v1.OrderService"}, "food.order.v1.OrderService"},
		"the end of an enum value":     {"round_robin", []string{"LB_UNSPECIFIED", "LB_ROUND_ROBIN"}, "LB_ROUND_ROBIN"},
		"the closest":                  {"order", []string{"orders2", "orders"}, "orders"},
		"equally close":                {"cat", []string{"hat", "bat"}, "bat"},
		"nothing close":                {"kind", []string{"address", "tls"}, ""},
		"long names are no excuse":     {"food.order.v1.OrderService.GetOrder", []string{"food.order.v1.OrderService.ListOrders"}, ""},
		"a short name is not all else": {"a", []string{"bc"}, ""},
		"no name":                      {"", []string{"a"}, ""},
		"no candidates":                {"a", nil, ""},
		"an empty candidate":           {"a", []string{""}, ""},
	} {
		if got := Name(tc.name, tc.candidates); got != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestHint(t *testing.T) {
	if got := Hint("order", []string{"orders"}); got != "; did you mean orders?" {
		t.Errorf("%q", got)
	}
	if got := Hint("order", nil); got != "" {
		t.Errorf("%q", got)
	}
}
