package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func TestRulesOfAnAnnotatedMethod(t *testing.T) {
	methods := orderv1.File_food_order_v1_order_proto.Services().ByName("OrderService").Methods()
	var got []string
	for i := range methods.Len() {
		rules, err := newSet(t).Rules(methods.Get(i))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			got = append(got, strings.TrimSpace(r.HTTPMethod+" "+r.Template.String()+" "+r.Body))
		}
	}
	want := []string{
		"POST /v1/orders order", "GET /v1/{name=orders/*}", "GET /v1/orders", "PATCH /v1/{order.name=orders/*} order",
		"POST /v1/{name=orders/*}:cancel *", "GET /v1/{name=orders/*}:watch",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPolicyPrecedence(t *testing.T) {
	open, closed := &policyv1.Policy{Auth: &policyv1.Auth{Public: true}}, &policyv1.Policy{Auth: &policyv1.Auth{}}
	service := geov1.File_food_geo_v1_geo_proto.Services().ByName("GeoService") // Geocode is public by its own option.
	method := service.Methods().ByName("Geocode")
	const name = "food.geo.v1.GeoService.Geocode"
	for title, tc := range map[string]struct {
		rules []*configv1.PolicyRule
		want  bool
	}{
		"the contract alone":                   {nil, true},
		"a wildcard closes":                    {[]*configv1.PolicyRule{{Selectors: []string{"food.*"}, Policy: closed}}, false},
		"the exact name beats a wildcard":      {[]*configv1.PolicyRule{{Selectors: []string{name}, Policy: open}, {Selectors: []string{"food.geo.v1.*"}, Policy: closed}}, true},
		"the longer wildcard beats a shorter":  {[]*configv1.PolicyRule{{Selectors: []string{"food.geo.*"}, Policy: closed}, {Selectors: []string{"food.*"}, Policy: open}}, false},
		"a policy without the kind is no word": {[]*configv1.PolicyRule{{Selectors: []string{name}, Policy: &policyv1.Policy{}}}, true},
		"another method's":                     {[]*configv1.PolicyRule{{Selectors: []string{name + "2"}, Policy: closed}}, true},
	} {
		if got := NewPolicies(tc.rules).For(name, service, method).GetAuth().GetPublic(); got != tc.want {
			t.Errorf("%s: public is %v", title, got)
		}
	}
}

func TestPoliciesReportUnusedSelectors(t *testing.T) {
	p := NewPolicies([]*configv1.PolicyRule{{Selectors: []string{"a.B.C", "a.B.Misspelled"}, Policy: &policyv1.Policy{}}})
	p.For("a.B.C", nil, nil)
	if diff := cmp.Diff([]Selector{{Rule: 0, Index: 1, Text: "a.B.Misspelled"}}, p.Unused()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"C", "Misspelled"}, p.Exact("a.B")); diff != "" {
		t.Error(diff)
	}
}

// image writes a descriptor image of files and returns its name.
func image(t *testing.T, files ...*descriptorpb.FileDescriptorProto) string {
	t.Helper()
	data, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: files})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "image.binpb")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// newSet returns the contracts of images.
func newSet(t *testing.T, images ...string) *Set {
	t.Helper()
	var sources []*Source
	for _, image := range images {
		source, err := ReadImage(image)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, source)
	}
	return mustSet(t, sources...)
}

func TestLoadedImageComesBeforeWhatIsLinked(t *testing.T) {
	name := image(t, &descriptorpb.FileDescriptorProto{
		Name: new("food/geo/v1/geo.proto"), Package: new("food.geo.v1"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("Only")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("GeoService"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: new("New"), InputType: new(".food.geo.v1.Only"), OutputType: new(".food.geo.v1.Only"),
		}}}},
	})
	set := newSet(t, name)
	if set.Service("food.geo.v1.GeoService").Methods().ByName("New") == nil {
		t.Error("the linked contract won")
	}
	if set.Service("food.order.v1.OrderService") == nil || set.Service("no.Such") != nil || set.Service("food.geo.v1.Only") != nil {
		t.Error("lookup by name")
	}
	if _, err := set.FindMessageByURL("type.googleapis.com/food.geo.v1.Only"); err != nil {
		t.Error(err)
	}
	if file, err := set.FindFileByPath("food/geo/v1/geo.proto"); err != nil || file.Services().Get(0).Methods().Len() != 1 {
		t.Errorf("%v %v", file, err)
	}
}

func TestEachBadImageIsExplained(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("syntax = \"proto3\";"), 0o600); err != nil {
		t.Fatal(err)
	}
	orderOnly := protodesc.ToFileDescriptorProto(orderv1.File_food_order_v1_order_proto)
	for name, want := range map[string]string{
		filepath.Join(t.TempDir(), "missing"): "no such file",
		text:                                  "not a FileDescriptorSet",
		image(t):                              "holds no files",
		image(t, orderOnly):                   "the imports buf/validate/validate.proto, google/api/annotations.proto",
	} {
		_, err := ReadImage(name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q with the file's name", err, want)
		}
	}
}
