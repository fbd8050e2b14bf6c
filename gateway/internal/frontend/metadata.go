package frontend

import (
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/cardea-gateway/cardea/policies/call"
)

// Metadata travels as HTTP headers under the same name; values under names that end in -bin travel as base64
// (gRPC over HTTP/2, "Custom-Metadata").
const binarySuffix = "-bin"

// perConnection headers mean one connection, or are part of the framing.
var perConnection = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "te": true, "trailer": true, "upgrade": true,
	"transfer-encoding": true, "http2-settings": true, "host": true, "expect": true, "content-length": true,
}

// private headers stay between the client and the gateway, besides those per connection. Credentials are meant for the
// gateway alone; what says who the client is, where a request came from or where it meant to go is believed only of
// trusted proxies, and handed on in the gateway's own words; the rest describes the body, which changes on the way.
var private = map[string]bool{
	"authorization": true, "proxy-authorization": true, "proxy-authenticate": true, "cookie": true, "x-api-key": true,

	"forwarded": true, "x-forwarded": true, "x-real-ip": true, "client-ip": true, "x-client-ip": true,
	"x-cluster-client-ip": true, "true-client-ip": true, "cf-connecting-ip": true, "fastly-client-ip": true,
	"remote-addr": true, "x-remote-addr": true, "remote-user": true, "x-remote-user": true, "x-rewrite-url": true,
	"x-ssl-client-cert": true, "x-client-cert": true, "ssl-client-cert": true,

	"x-request-id": true, "x-server-timeout": true, // Backends get the gateway's own.

	"accept": true, "accept-encoding": true, "content-encoding": true, "content-type": true, "user-agent": true,
}

// privatePrefixes are namespaces of such headers. In the last the gateway tells backends who calls; clients can't write there.
var privatePrefixes = []string{"x-forwarded-", "x-original-", "x-envoy-", "x-azure-", "x-amzn-mtls-", "cardea-"}

// allowedGRPC are the names under the reserved prefix "grpc-" that are ordinary metadata all the same.
var allowedGRPC = map[string]bool{"grpc-trace-bin": true, "grpc-tags-bin": true, "grpc-previous-rpc-attempts": true}

// Incoming returns the metadata that a backend gets with a call: what the request's headers amount to, and what the gateway
// knows of the client. Malformed base64 in a -bin header is an error; names and values that gRPC can't carry are left out.
func Incoming(c *call.Call) (metadata.MD, error) {
	md, err := incoming(c.Header())
	if err != nil {
		return nil, err
	}
	addReception(md, c.Reception())
	return md, nil
}

// receptionNames are the names under which backends learn what the gateway knows of the client. Nobody else can write them.
var receptionNames = [...]string{"x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}

func addReception(md metadata.MD, r *call.Reception) {
	values := []string{r.RequestID, r.ForwardedFor, r.Scheme, r.Host}
	for i, name := range receptionNames {
		if values[i] != "" && printable(values[i]) {
			md[name] = values[i : i+1 : i+1]
		}
	}
}

func incoming(header call.Header) (metadata.MD, error) {
	md := metadata.MD{}
	var failure error
	dropped := connectionHeaders(header)
	header.Range(func(name string, values []string) bool {
		if dropped[name] || !forwarded(name) {
			return true
		}
		failure = addIncoming(md, name, values)
		return failure == nil
	})
	return md, failure
}

// received returns the metadata that a grpc server would show its interceptors: all that the client sent, but for what the
// gateway knows better.
func received(x Exchange, r *call.Reception) (metadata.MD, error) {
	md := metadata.MD{}
	if authority := x.Authority(); authority != "" {
		md[":authority"] = []string{authority}
	}
	var failure error
	x.Header().Range(func(name string, values []string) bool {
		if validName(name) && !perConnection[name] {
			failure = addIncoming(md, name, values)
		}
		return failure == nil
	})
	delete(md, "forwarded")
	for _, name := range receptionNames {
		delete(md, name)
	}
	addReception(md, r)
	return md, failure
}

func addIncoming(md metadata.MD, name string, values []string) error {
	for _, value := range values {
		if !strings.HasSuffix(name, binarySuffix) {
			if printable(value) {
				md[name] = append(md[name], value)
			}
			continue
		}
		for part := range strings.SplitSeq(value, ",") { // Several values may be joined by commas.
			raw, err := decodeBinary(strings.TrimSpace(part))
			if err != nil {
				return call.Refuse(codes.InvalidArgument, "MALFORMED_METADATA", "the header "+name+" is not valid base64")
			}
			md[name] = append(md[name], string(raw))
		}
	}
	return nil
}

// connectionHeaders returns the names that the Connection header makes hop-by-hop (RFC 9110, section 7.6.1); usually nil.
func connectionHeaders(header call.Header) map[string]bool {
	var names map[string]bool
	for _, value := range header.Values("connection") {
		for name := range strings.SplitSeq(value, ",") {
			if names == nil {
				names = map[string]bool{}
			}
			names[strings.ToLower(strings.TrimSpace(name))] = true
		}
	}
	return names
}

// forwarded tells whether a header passes through the gateway, in either direction.
func forwarded(name string) bool {
	plain := name
	if strings.ContainsAny(name, "_.") || strings.HasSuffix(name, binarySuffix) { // Servers exist that take one spelling for the other.
		plain = strings.TrimSuffix(spelling.Replace(name), binarySuffix)
	}
	if perConnection[plain] || private[plain] || !validName(name) {
		return false
	}
	for _, prefix := range privatePrefixes {
		if strings.HasPrefix(plain, prefix) {
			return false
		}
	}
	return !strings.HasPrefix(plain, "grpc-") || allowedGRPC[name]
}

var spelling = strings.NewReplacer("_", "-", ".", "-")

// returned tells whether a backend's metadata passes back to the client.
func returned(name string) bool {
	return name == "set-cookie" || forwarded(name)
}

// eachOutgoing calls add for each header that the metadata of an answer amounts to.
func eachOutgoing(md metadata.MD, add func(name, value string)) {
	for name, values := range md {
		if !returned(name) {
			continue
		}
		for _, value := range values {
			if strings.HasSuffix(name, binarySuffix) {
				value = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
			if printable(value) { // A backend can't break out of its header.
				add(name, value)
			}
		}
	}
}

// decodeBinary accepts padded and unpadded base64, as the specification demands.
func decodeBinary(text string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
}

// validName tells whether gRPC can carry a metadata key: 0-9 a-z _ - .
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return name != ""
}

// printable tells whether gRPC can carry a text value: printable ASCII and spaces.
func printable(value string) bool {
	for i := range len(value) {
		if value[i] < 0x20 || value[i] > 0x7e {
			return false
		}
	}
	return true
}
