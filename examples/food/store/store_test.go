package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/store"
	storev1 "github.com/cardea-gateway/cardea/gen/go/food/store/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t *testing.T, s store.Store) *grpc.ClientConn {
	t.Helper()
	return foodtest.Connect(t, func(r grpc.ServiceRegistrar) { storev1.RegisterStoreServiceServer(r, store.New(s)) })
}

// each runs a test against both stores: the one in memory, and the one behind a connection.
func each(t *testing.T, test func(*testing.T, store.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, store.NewMemory()) })
	})
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, store.NewClient(dial(t, store.NewMemory()))) })
	})
}

// put sets a value whatever was there, and returns its revision.
func put(t *testing.T, s store.Store, key, value string) int64 {
	t.Helper()
	revision, err := s.Put(t.Context(), key, []byte(value), store.Any)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func TestGetReturnsWhatWasPutLast(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		first, second := put(t, s, "a", "1"), put(t, s, "a", "2")
		if second <= first || first <= store.Absent {
			t.Errorf("revisions %d, then %d", first, second)
		}
		got, err := s.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(store.Entry{Key: "a", Value: []byte("2"), Revision: second}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestGetOfNoKey(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		put(t, s, "ab", "1")
		if _, err := s.Get(t.Context(), "a"); !store.NotFound(err) || store.Conflict(err) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPutSwapsTheExpectedRevisionOnly(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		old := put(t, s, "a", "1")
		now := put(t, s, "a", "2")
		for _, tt := range []struct {
			key      string
			expected int64
			conflict bool
		}{
			{"a", store.Absent, true},
			{"a", old, true},
			{"a", now + 1, true},
			{"a", now, false},
			{"a", store.Any, false},
			{"b", now, true},
			{"b", store.Absent, false},
			{"c", store.Any, false},
		} {
			before, _ := s.Get(t.Context(), tt.key)
			_, err := s.Put(t.Context(), tt.key, []byte("3"), tt.expected)
			if store.Conflict(err) != tt.conflict || (err != nil) != tt.conflict {
				t.Errorf("%s, expecting %d: %v", tt.key, tt.expected, err)
			}
			after, _ := s.Get(t.Context(), tt.key)
			if unchanged := cmp.Equal(before, after); unchanged != tt.conflict {
				t.Errorf("%s, expecting %d: %v became %v", tt.key, tt.expected, before, after)
			}
		}
	})
}

func TestDeleteRemovesTheExpectedRevisionOnly(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		old := put(t, s, "a", "1")
		now := put(t, s, "a", "2")
		if _, err := s.Delete(t.Context(), "a", old); !store.Conflict(err) {
			t.Errorf("the old revision: %v", err)
		}
		removed, err := s.Delete(t.Context(), "a", now)
		if err != nil {
			t.Fatal(err)
		}
		if removed <= now {
			t.Errorf("removed by revision %d, after %d", removed, now)
		}
		if _, err := s.Delete(t.Context(), "a", store.Any); !store.NotFound(err) {
			t.Errorf("a second time: %v", err)
		}
		if again := put(t, s, "a", "3"); again <= removed {
			t.Errorf("put again as revision %d, after %d", again, removed)
		}
	})
}

func TestListPages(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		for _, key := range []string{"b/3", "a/1", "c", "b/1", "b/2", "b", "b0"} {
			put(t, s, key, "")
		}
		for _, tt := range []struct {
			page store.Page
			want string
		}{
			{store.Page{}, "a/1 b b/1 b/2 b/3 b0 c"},
			{store.Page{Prefix: "b/"}, "b/1 b/2 b/3"},
			{store.Page{Prefix: "b/", Limit: 2}, "b/1 b/2"},
			{store.Page{Prefix: "b/", Limit: 2, After: "b/2"}, "b/3"},
			{store.Page{Prefix: "b/", After: "b/3"}, ""},
			{store.Page{Prefix: "b/", After: "b/11"}, "b/2 b/3"},
			{store.Page{Prefix: "b/", After: "a"}, "b/1 b/2 b/3"},
			{store.Page{Prefix: "b/", After: "c"}, ""},
			{store.Page{Prefix: "b/", Descending: true}, "b/3 b/2 b/1"},
			{store.Page{Prefix: "b/", Descending: true, Limit: 2}, "b/3 b/2"},
			{store.Page{Prefix: "b/", Descending: true, After: "b/2"}, "b/1"},
			{store.Page{Prefix: "b/", Descending: true, After: "b/25", Limit: 1}, "b/2"},
			{store.Page{Prefix: "b/", Descending: true, After: "a"}, ""},
			{store.Page{Prefix: "b/", Descending: true, After: "c"}, "b/3 b/2 b/1"},
			{store.Page{Prefix: "d"}, ""},
		} {
			entries, err := s.List(t.Context(), tt.page)
			if err != nil {
				t.Fatal(err)
			}
			var keys []string
			for _, e := range entries {
				keys = append(keys, e.Key)
			}
			if got := strings.Join(keys, " "); got != tt.want {
				t.Errorf("%+v: got %q, want %q", tt.page, got, tt.want)
			}
		}
	})
}

func TestListHasAHundredByDefault(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		for i := range 101 {
			put(t, s, fmt.Sprintf("%03d", i), "")
		}
		if entries, err := s.List(t.Context(), store.Page{}); err != nil || len(entries) != 100 {
			t.Errorf("got %d entries, %v", len(entries), err)
		}
	})
}

func TestWatchMissesNothingOfItsScope(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		for _, tt := range []struct {
			scope store.Scope
			want  string
		}{
			{store.Scope{Key: "a/1"}, "a/1=x a/1!"},
			{store.Scope{Prefix: "a/"}, "a/1=x a/2=y a/1!"},
			{store.Scope{}, "a/1=x b=z a/2=y a/1!"},
		} {
			ctx, stop := context.WithCancel(t.Context())
			changes, err := s.Watch(ctx, tt.scope)
			if err != nil {
				t.Fatal(err)
			}
			put(t, s, "a/1", "x")
			put(t, s, "b", "z")
			put(t, s, "a/2", "y")
			if _, err := s.Delete(t.Context(), "a/1", store.Any); err != nil {
				t.Fatal(err)
			}
			var got []string
			for len(got) <= strings.Count(tt.want, " ") {
				got = append(got, describe(<-changes))
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("%+v: got %q, want %q", tt.scope, got, tt.want)
			}
			stop()
			if c, open := <-changes; open {
				t.Errorf("%+v: then %v", tt.scope, c)
			}
		}
	})
}

// describe is "key=value", or "key!" for a removed one.
func describe(c store.Change) string {
	if c.Deleted {
		return c.Key + "!"
	}
	return c.Key + "=" + string(c.Value)
}

func TestWatcherThatDoesNotKeepUpIsDropped(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		changes, err := s.Watch(t.Context(), store.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		// Over a connection there is room for more changes, but not for so many bytes.
		for range 200 {
			put(t, s, "a", strings.Repeat("x", 10_000))
		}
		received := 0
		for range changes {
			received++
		}
		if received == 0 || received == 200 {
			t.Errorf("received %d changes", received)
		}
	})
}

func TestContextThatEndsIsTheError(t *testing.T) {
	each(t, func(t *testing.T, s store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, get := s.Get(ctx, "a")
		_, put := s.Put(ctx, "a", nil, store.Any)
		_, del := s.Delete(ctx, "a", store.Any)
		_, list := s.List(ctx, store.Page{})
		_, watch := s.Watch(ctx, store.Scope{})
		for i, err := range []error{get, put, del, list, watch} {
			if err != context.Canceled { //nolint:errorlint // It is the very error, so that callers can compare.
				t.Errorf("method %d: %v", i, err)
			}
		}
	})
}

func TestServiceSpeaksInCodes(t *testing.T) {
	c := storev1.NewStoreServiceClient(dial(t, store.NewMemory()))
	foodtest.Call(t, c.Put, &storev1.PutRequest{Key: "a"})
	stale := int64(9)
	for name, tt := range map[string]struct {
		err  error
		want codes.Code
	}{
		"no such key":          {foodtest.Refused(t, c.Get, &storev1.GetRequest{Key: "b"}), codes.NotFound},
		"put a stale revision": {foodtest.Refused(t, c.Put, &storev1.PutRequest{Key: "a", ExpectedRevision: &stale}), codes.Aborted},
		"delete a stale one":   {foodtest.Refused(t, c.Delete, &storev1.DeleteRequest{Key: "a", ExpectedRevision: &stale}), codes.Aborted},
		"a key that is too long": {
			foodtest.Refused(t, c.Get, &storev1.GetRequest{Key: strings.Repeat("k", 257)}), codes.InvalidArgument,
		},
	} {
		t.Run(name, func(t *testing.T) { foodtest.Code(t, tt.err, tt.want) })
	}
}

func TestClientKeepsTheCodeOfOtherErrors(t *testing.T) {
	cc := foodtest.Connect(t, func(grpc.ServiceRegistrar) {}) // a server without the service
	s := store.NewClient(cc)
	_, get := s.Get(t.Context(), "a")
	_, watch := s.Watch(t.Context(), store.Scope{Key: "a"})
	_, list := s.List(t.Context(), store.Page{})
	for _, err := range []error{get, watch, list} {
		foodtest.Code(t, err, codes.Unimplemented)
	}
}
