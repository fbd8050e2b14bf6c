// Command grpcproxy is the least that a gRPC proxy over grpc-go can be: any method, both directions, bytes as they came,
// one connection to the backend.
package main

import (
	"context"
	"errors"
	"flag"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
	"github.com/cardea-gateway/cardea/bench/internal/raw"
)

func main() {
	backend := flag.String("backend", "", "address of the backend")
	flag.Parse()
	announce.Exit(run(*backend))
}

func run(backend string) error {
	conn, err := grpc.NewClient(backend, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	listener, err := announce.Listen(announce.Serving)
	if err != nil {
		return err
	}
	p := proxy{conn}
	return grpc.NewServer(grpc.ForceServerCodecV2(raw.Codec{}), grpc.UnknownServiceHandler(p.handle)).Serve(listener)
}

type proxy struct{ backend *grpc.ClientConn }

// handle passes on one call.
func (p proxy) handle(_ any, client grpc.ServerStream) error {
	ctx, cancel := context.WithCancel(client.Context())
	defer cancel()
	backend, err := p.open(ctx, client)
	if err != nil {
		return err
	}
	go func() {
		if err := upload(client, backend); err != nil {
			cancel()
		}
	}()
	return download(backend, client)
}

// open starts the call to the backend, with the metadata of the client.
func (p proxy) open(ctx context.Context, client grpc.ServerStream) (grpc.ClientStream, error) {
	method, ok := grpc.MethodFromServerStream(client)
	if !ok {
		return nil, status.Error(codes.Internal, "no method")
	}
	md, _ := metadata.FromIncomingContext(ctx)
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	return p.backend.NewStream(metadata.NewOutgoingContext(ctx, md), desc, method, grpc.ForceCodecV2(raw.Codec{}))
}

// upload copies requests until the client has sent its last one.
func upload(client grpc.ServerStream, backend grpc.ClientStream) error {
	for {
		var frame raw.Frame
		if err := client.RecvMsg(&frame); errors.Is(err, io.EOF) {
			return backend.CloseSend()
		} else if err != nil {
			return err
		}
		if err := backend.SendMsg(&frame); err != nil {
			return nil //nolint:nilerr // The backend has ended the call; download knows how.
		}
	}
}

// download copies the answer: header, messages, trailer and status.
func download(backend grpc.ClientStream, client grpc.ServerStream) error {
	header, err := backend.Header()
	if err != nil {
		return err
	}
	if err := client.SetHeader(header); err != nil {
		return err
	}
	for {
		var frame raw.Frame
		if err := backend.RecvMsg(&frame); err != nil {
			client.SetTrailer(backend.Trailer())
			return ended(err)
		}
		if err := client.SendMsg(&frame); err != nil {
			return err
		}
	}
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
