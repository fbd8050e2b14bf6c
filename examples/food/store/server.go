package store

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	storev1 "github.com/cardea-gateway/cardea/gen/go/food/store/v1"
)

type server struct {
	storev1.UnimplementedStoreServiceServer
	store Store
}

// New returns the service that gives other processes a store.
func New(s Store) storev1.StoreServiceServer {
	return &server{store: s}
}

func (s *server) Get(ctx context.Context, req *storev1.GetRequest) (*storev1.Entry, error) {
	e, err := s.store.Get(ctx, req.GetKey())
	if err != nil {
		return nil, toStatus(err)
	}
	return toProto(e), nil
}

func (s *server) Put(ctx context.Context, req *storev1.PutRequest) (*storev1.PutResponse, error) {
	revision, err := s.store.Put(ctx, req.GetKey(), req.GetValue(), expectation(req.ExpectedRevision))
	if err != nil {
		return nil, toStatus(err)
	}
	return &storev1.PutResponse{Revision: revision}, nil
}

func (s *server) Delete(ctx context.Context, req *storev1.DeleteRequest) (*storev1.DeleteResponse, error) {
	revision, err := s.store.Delete(ctx, req.GetKey(), expectation(req.ExpectedRevision))
	if err != nil {
		return nil, toStatus(err)
	}
	return &storev1.DeleteResponse{Revision: revision}, nil
}

func (s *server) List(ctx context.Context, req *storev1.ListRequest) (*storev1.ListResponse, error) {
	entries, err := s.store.List(ctx, Page{
		Prefix:     req.GetPrefix(),
		After:      req.GetAfter(),
		Limit:      int(req.GetPageSize()),
		Descending: req.GetDescending(),
	})
	if err != nil {
		return nil, toStatus(err)
	}
	resp := &storev1.ListResponse{Entries: make([]*storev1.Entry, len(entries))}
	for i, e := range entries {
		resp.Entries[i] = toProto(e)
	}
	return resp, nil
}

func (s *server) Watch(req *storev1.WatchRequest, stream grpc.ServerStreamingServer[storev1.WatchResponse]) error {
	ctx := stream.Context()
	changes, err := s.store.Watch(ctx, Scope{Key: req.GetKey(), Prefix: req.GetPrefix()})
	if err != nil {
		return toStatus(err)
	}
	// The headers tell the client that the watch is in place.
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for c := range changes {
		if err := stream.Send(&storev1.WatchResponse{Entry: toProto(c.Entry), Deleted: c.Deleted}); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return toStatus(err)
	}
	return status.Error(codes.OutOfRange, "the watcher is too far behind")
}

func toProto(e Entry) *storev1.Entry {
	return &storev1.Entry{Key: e.Key, Value: e.Value, Revision: e.Revision}
}

func expectation(revision *int64) int64 {
	if revision == nil {
		return Any
	}
	return *revision
}

func toStatus(err error) error {
	switch {
	case NotFound(err):
		return status.Error(codes.NotFound, "no such key")
	case Conflict(err):
		return status.Error(codes.Aborted, "the revision does not match")
	default:
		return status.FromContextError(err).Err()
	}
}
