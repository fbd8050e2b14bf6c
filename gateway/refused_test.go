package gateway_test

import (
	"flag"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cardea-gateway/cardea/gateway"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
)

// update rewrites the expected errors: go test ./gateway -run TestRefused -update.
var update = flag.Bool("update", false, "rewrite the expected errors in testdata")

// TestRefused opens configurations that gateway/config accepts and the gateway refuses. Each file of testdata/refused is a
// folder: gateway.yaml, the error that it must give, and files that it needs. NAME.txtpb becomes a descriptor image,
// NAME.binpb.
func TestRefused(t *testing.T) {
	files, err := filepath.Glob("testdata/refused/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		file, err := filepath.Abs(file) // The test changes its folder.
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := unpack(t, archive)
			gw, err := gateway.Open("gateway.yaml",
				gateway.WithREST("food.geo.v1.GeoService", geov1.NewGeoServiceClient, geov1.RegisterGeoServiceHandlerClient))
			if err == nil {
				gw.Close()
				t.Fatal("accepted")
			}
			got := strings.ReplaceAll(err.Error(), "\u00a0", " ") + "\n" // Some builds of protobuf write the one, some the other.
			if diff := cmp.Diff(string(want.Data), got); diff != "" && !*update {
				t.Errorf("-want +got\n%s", diff)
			}
			if want.Data = []byte(got); *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// unpack writes the files of an archive into a folder, makes it the current one, and returns the expected error.
func unpack(t *testing.T, archive *txtar.Archive) (want *txtar.File) {
	t.Helper()
	t.Chdir(t.TempDir())
	for i, file := range archive.Files {
		if file.Name == "error" {
			want = &archive.Files[i]
			continue
		}
		if path.Ext(file.Name) == ".txtpb" {
			set := &descriptorpb.FileDescriptorSet{}
			if err := prototext.Unmarshal(file.Data, set); err != nil {
				t.Fatal(err)
			}
			file.Name = strings.TrimSuffix(file.Name, ".txtpb") + ".binpb"
			data, err := proto.Marshal(set)
			if err != nil {
				t.Fatal(err)
			}
			file.Data = data
		}
		if err := os.WriteFile(file.Name, file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want == nil {
		t.Fatal("no error to expect")
	}
	return want
}
