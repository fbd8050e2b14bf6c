// Package page has the rules by which the food services list things (AIP-158).
package page

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"

	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
)

// defaultSize is the size of a page when the caller has no wish.
const defaultSize = 20

// Size returns how many entries a page has at most.
func Size(requested int32) int {
	if requested == 0 {
		return defaultSize
	}
	return int(requested)
}

// Token returns the token of the page behind a key. The query is what else the caller asked for: the token is good for
// nothing else, so that a filter can't change between two pages.
func Token(query, after string) string {
	raw := binary.BigEndian.AppendUint64(nil, sum(query, after))
	return base64.RawURLEncoding.EncodeToString(append(raw, after...))
}

// After returns the key behind which the page of a token begins, "" for the empty token.
func After(query, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) <= 8 {
		return "", refusal.Invalid(refusal.Field{Path: "page_token", Description: "is not a page token"})
	}
	after := string(raw[8:])
	if binary.BigEndian.Uint64(raw) != sum(query, after) {
		return "", refusal.Invalid(refusal.Field{Path: "page_token", Description: "belongs to another question"})
	}
	return after, nil
}

// sum ties a token to its query. It guards against mistakes, not against forgery: a forged token shows nothing that the
// caller could not list anyway.
func sum(query, after string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(query))
	h.Write([]byte{0})
	h.Write([]byte(after))
	return h.Sum64()
}
