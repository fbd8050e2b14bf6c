package store

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	storev1 "github.com/cardea-gateway/cardea/gen/go/food/store/v1"
)

// Client is a [Store] in another process. Its other errors are gRPC statuses.
type Client struct {
	rpc storev1.StoreServiceClient
}

// NewClient returns the store behind a connection, which stays the caller's to close.
func NewClient(cc grpc.ClientConnInterface) *Client {
	return &Client{rpc: storev1.NewStoreServiceClient(cc)}
}

// Get implements [Store].
func (c *Client) Get(ctx context.Context, key string) (Entry, error) {
	e, err := c.rpc.Get(ctx, &storev1.GetRequest{Key: key})
	if err != nil {
		return Entry{}, fromStatus(ctx, err)
	}
	return fromProto(e), nil
}

// Put implements [Store].
func (c *Client) Put(ctx context.Context, key string, value []byte, expected int64) (int64, error) {
	resp, err := c.rpc.Put(ctx, &storev1.PutRequest{Key: key, Value: value, ExpectedRevision: revision(expected)})
	return resp.GetRevision(), fromStatus(ctx, err)
}

// Delete implements [Store].
func (c *Client) Delete(ctx context.Context, key string, expected int64) (int64, error) {
	resp, err := c.rpc.Delete(ctx, &storev1.DeleteRequest{Key: key, ExpectedRevision: revision(expected)})
	return resp.GetRevision(), fromStatus(ctx, err)
}

// List implements [Store].
func (c *Client) List(ctx context.Context, page Page) ([]Entry, error) {
	resp, err := c.rpc.List(ctx, &storev1.ListRequest{
		Prefix:     page.Prefix,
		After:      page.After,
		PageSize:   int32(page.Limit),
		Descending: page.Descending,
	})
	if err != nil {
		return nil, fromStatus(ctx, err)
	}
	entries := make([]Entry, len(resp.GetEntries()))
	for i, e := range resp.GetEntries() {
		entries[i] = fromProto(e)
	}
	return entries, nil
}

// Watch implements [Store].
func (c *Client) Watch(ctx context.Context, scope Scope) (<-chan Change, error) {
	stream, err := c.rpc.Watch(ctx, watchRequest(scope))
	if err != nil {
		return nil, fromStatus(ctx, err)
	}
	if err := inPlace(stream); err != nil {
		return nil, fromStatus(ctx, err)
	}
	changes := make(chan Change)
	go receive(ctx, stream, changes)
	return changes, nil
}

// inPlace waits for the headers. A stream that was refused has none: then the first message has the reason.
func inPlace(stream grpc.ServerStreamingClient[storev1.WatchResponse]) error {
	header, err := stream.Header()
	if err == nil && header == nil {
		_, err = stream.Recv()
	}
	return err
}

// receive ends with the stream, hence with ctx at the latest.
func receive(ctx context.Context, stream grpc.ServerStreamingClient[storev1.WatchResponse], changes chan<- Change) {
	defer close(changes)
	for {
		resp, err := stream.Recv()
		if err != nil {
			return
		}
		select {
		case changes <- Change{Entry: fromProto(resp.GetEntry()), Deleted: resp.GetDeleted()}:
		case <-ctx.Done():
			return
		}
	}
}

func watchRequest(scope Scope) *storev1.WatchRequest {
	if scope.Key != "" {
		return &storev1.WatchRequest{Scope: &storev1.WatchRequest_Key{Key: scope.Key}}
	}
	return &storev1.WatchRequest{Scope: &storev1.WatchRequest_Prefix{Prefix: scope.Prefix}}
}

func fromProto(e *storev1.Entry) Entry {
	return Entry{Key: e.GetKey(), Value: e.GetValue(), Revision: e.GetRevision()}
}

func revision(expected int64) *int64 {
	if expected == Any {
		return nil
	}
	return &expected
}

func fromStatus(ctx context.Context, err error) error {
	switch status.Code(err) {
	case codes.NotFound:
		return errors.Join(errNotFound, err)
	case codes.Aborted:
		return errors.Join(errConflict, err)
	case codes.Canceled, codes.DeadlineExceeded:
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}
