package main

import (
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/cardea-gateway/cardea/test/httprule"
)

// envoyImage returns the image of the contract without the bindings that make Envoy refuse all of it: a response_body that
// is no google.api.HttpBody, and a custom method "*".
func envoyImage() ([]byte, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(httprule.Image, set); err != nil {
		return nil, err
	}
	for _, file := range set.GetFile() {
		for _, service := range file.GetService() {
			for _, method := range service.GetMethod() {
				if rule, ok := proto.GetExtension(method.GetOptions(), annotations.E_Http).(*annotations.HttpRule); ok && refused(rule) {
					proto.ClearExtension(method.GetOptions(), annotations.E_Http)
				}
			}
		}
	}
	return proto.Marshal(set)
}

func refused(rule *annotations.HttpRule) bool {
	return rule.GetResponseBody() != "" && rule.GetResponseBody() != "content"
}
