package frontend

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/httpbody"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

const (
	contentTypeJSON   = "application/json"
	contentTypeNDJSON = "application/x-ndjson"
	contentTypeBytes  = "application/octet-stream"
)

// marshaler is proto3 JSON for the generated handlers: unknown fields and whatever follows the JSON value are refused,
// and streams are a message a line with the status as the last.
type marshaler struct {
	runtime.JSONPb
	types Types
}

func newMarshaler(types Types, format *configv1.JsonFormat) *marshaler {
	m := &marshaler{types: types}
	m.EmitDefaultValues, m.UseProtoNames, m.UseEnumNumbers = format.GetEmitDefaults(), format.GetUseProtoNames(), format.GetUseEnumNumbers()
	m.MarshalOptions.Resolver = types
	m.UnmarshalOptions.Resolver = types
	return m
}

// ContentType returns the type of a unary answer.
func (m *marshaler) ContentType(v any) string {
	body, ok := v.(*httpbody.HttpBody)
	if !ok {
		return contentTypeJSON
	}
	if contentType := body.GetContentType(); contentType != "" && printable(contentType) {
		return contentType
	}
	return contentTypeBytes
}

// StreamContentType returns the type of a stream of answers.
func (m *marshaler) StreamContentType(v any) string {
	if _, ok := v.(*httpbody.HttpBody); ok {
		return m.ContentType(v)
	}
	return contentTypeNDJSON
}

// Delimiter ends each message of a stream.
func (m *marshaler) Delimiter() []byte { return []byte("\n") }

// Marshal writes one message. Generated handlers wrap those of a stream, {"result": message} or {"error": status}: the
// first loses its wrapping, the second becomes the last line.
func (m *marshaler) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case *httpbody.HttpBody:
		return v.GetData(), nil
	case map[string]any:
		if message, ok := v["result"]; ok && len(v) == 1 {
			return m.JSONPb.Marshal(message)
		}
	case map[string]proto.Message:
		if st, ok := v["error"].(*spb.Status); ok && len(v) == 1 {
			return statusLine(st, m.types), nil
		}
	}
	return m.JSONPb.Marshal(v)
}

// statusLine is the last line of a stream. No field of a message can have that name, so it can't be taken for one.
func statusLine(st *spb.Status, types Types) []byte {
	return append(append([]byte(`{"@status":`), marshalStatus(st, types)...), '}')
}

// NewDecoder reads one JSON value, which must be all there is.
func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		switch {
		case err != nil:
			return err
		case len(data) == 0:
			return io.EOF // The handlers take that for an empty message.
		}
		return m.Unmarshal(data, v)
	})
}

// Unmarshal reads one JSON value, which must be all there is.
func (m *marshaler) Unmarshal(data []byte, v any) error {
	if message := messageIn(v); message != nil {
		if err := m.UnmarshalOptions.Unmarshal(data, message); err != nil {
			return fmt.Errorf("the body is not a valid %s: %w", message.ProtoReflect().Descriptor().FullName(), tidy(err))
		}
		return nil
	}
	if !json.Valid(data) {
		return errors.New("the body is not one JSON value")
	}
	return m.JSONPb.Unmarshal(data, v)
}

// messageIn returns the message that v points to: v itself, or what a field of a message that v points to holds, made if
// it is not there yet. It returns nil where v is no message.
func messageIn(v any) proto.Message {
	if message, ok := v.(proto.Message); ok {
		return message
	}
	field := reflect.ValueOf(v)
	if field.Kind() != reflect.Pointer || field.Elem().Kind() != reflect.Pointer {
		return nil
	}
	field = field.Elem()
	if field.IsNil() && field.Type().Implements(reflect.TypeFor[proto.Message]()) {
		field.Set(reflect.New(field.Type().Elem()))
	}
	message, _ := reflect.TypeAssert[proto.Message](field)
	return message
}

// tidy makes the text of a protojson error stable and free of the library's name; protojson varies its white space so
// that nobody relies on it.
func tidy(err error) error {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return errors.New(strings.TrimPrefix(text, "proto: "))
}
