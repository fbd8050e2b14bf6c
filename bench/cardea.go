package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// configuration is Cardea's, for the backend's address.
const configuration = `listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
backends: [{name: order, target: "static:///BACKEND", services: [food.order.v1.OrderService]}]
policies:
  - selectors:
      - food.order.v1.OrderService.GetOrder
      - food.order.v1.OrderService.ListOrders
      - food.order.v1.OrderService.CreateOrder
    policy: {auth: {public: true}}
access_log: {disabled: true}
`

// startCardea starts the binary, which knows the contract from an image.
func (u *setup) startCardea(ctx context.Context) (*process, string, error) {
	image, err := u.image()
	if err != nil {
		return nil, "", err
	}
	return u.serve(ctx, "cardea", configuration+fmt.Sprintf("descriptors: {images: [%q]}\n", image))
}

// startEmbedded starts Cardea as a library, which has generated handlers of the contract.
func (u *setup) startEmbedded(ctx context.Context) (*process, string, error) {
	return u.serve(ctx, "embedded", configuration)
}

func (u *setup) serve(ctx context.Context, name, text string) (*process, string, error) {
	file, err := u.write(name+".yaml", []byte(strings.Replace(text, "BACKEND", u.backend, 1)))
	if err != nil {
		return nil, "", err
	}
	p, address, err := u.launch(ctx, gatewayCore, name, "serve", "--config", file)
	if err != nil {
		return nil, "", err
	}
	p.admin, err = p.address(ctx, announce.Admin)
	return p, address, err
}

// image writes the descriptor image of the contract, for gateways that read one.
func (s starter) image() (file string, err error) {
	var files descriptorpb.FileDescriptorSet
	collect(orderv1.File_food_order_v1_order_proto, map[string]bool{}, &files)
	data, err := proto.Marshal(&files)
	if err != nil {
		return "", err
	}
	return s.write("image.binpb", data)
}

// collect adds a file to a set, after what it imports.
func collect(file protoreflect.FileDescriptor, seen map[string]bool, set *descriptorpb.FileDescriptorSet) {
	if seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	imports := file.Imports()
	for i := range imports.Len() {
		collect(imports.Get(i).FileDescriptor, seen, set)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
}
