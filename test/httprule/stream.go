package httprule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// checkStream looks at a stream of messages. Transcoders frame it differently: a message a line or one array, messages in
// an envelope or bare, with or without a last element that says how it ended. All that is asked is that the messages are
// there, and that a failure can be seen.
func (c *Case) checkStream(a *received) []string {
	elements, whole := elementsOf(a.body)
	var messages []any
	failed := a.cut != nil || !whole || a.Trailer.Get("Grpc-Status") != "" && a.Trailer.Get("Grpc-Status") != "0"
	for _, e := range elements {
		message, isStatus, code := read(e)
		if !isStatus {
			messages = append(messages, message)
		}
		failed = failed || isStatus && code != 0
	}
	var problems []string
	if want := canonical(c.Messages); !same(want, messages) {
		problems = append(problems, fmt.Sprintf("the messages are %v, want %v, in %s", messages, want, a.body))
	}
	if failed != c.Broken {
		problems = append(problems, fmt.Sprintf("the stream looks broken: %v, want %v: %s", failed, c.Broken, a.body))
	}
	return problems
}

// elementsOf takes a stream apart. It is not whole if its JSON is cut off.
func elementsOf(body []byte) (elements []any, whole bool) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	for {
		var v any
		err := decoder.Decode(&v)
		if errors.Is(err, io.EOF) {
			return elements, true
		}
		if err != nil {
			return append(elements, cutArray(body)...), false
		}
		if list, ok := v.([]any); ok && len(elements) == 0 && bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
			return list, true
		}
		elements = append(elements, v)
	}
}

// cutArray returns the elements of an array that has no end.
func cutArray(body []byte) (elements []any) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if t, err := decoder.Token(); err != nil || t != json.Delim('[') {
		return nil
	}
	for decoder.More() {
		var v any
		if decoder.Decode(&v) != nil {
			break
		}
		elements = append(elements, v)
	}
	return elements
}

// read returns what an element means: a message, or how the stream has ended.
func read(element any) (message any, isStatus bool, code float64) {
	object, ok := element.(map[string]any)
	if !ok || len(object) != 1 {
		return element, false, 0
	}
	for _, name := range []string{"@status", "error"} {
		if st, ok := object[name].(map[string]any); ok {
			code, _ = st["code"].(float64)
			return nil, true, code
		}
	}
	if result, ok := object["result"]; ok {
		return result, false, 0
	}
	return element, false, 0
}

// canonical brings what YAML holds into the form that JSON has.
func canonical(list []any) []any {
	data, err := json.Marshal(list)
	if err != nil {
		return nil
	}
	var all []any
	if json.Unmarshal(data, &all) != nil {
		return nil
	}
	return all
}
