// Package transcode turns protobuf wire bytes into proto3 JSON and back, without message objects and without
// reflection: a Compiler makes one program per message type from its descriptor, and a program appends to the caller's
// buffer while it reads.
//
// # What is right
//
// The JSON is that of google.golang.org/protobuf/encoding/protojson, white space and the order of members aside: what
// protojson accepts is accepted, what it refuses is refused, and the result is equal. Where the two differ, it is on
// purpose, and the tests say so:
//
//   - JSON is read strictly by RFC 8259. protojson takes a number with an empty exponent, as in {"n":1e}.
//   - Limits are tighter, and have names.
//
// Like protojson, and like all of Go's protobuf, it treats closed enums as open: unknown numbers are kept.
//
// # Wire to JSON
//
// One pass, in the order in which the fields come; JSON objects have no order. A bit per field tells what was there
// already. Canonical wire, as every encoder writes it, never needs more. Whatever does (a field that comes twice, a
// list in several places, a map with a key twice, two members of a oneof) makes the pass give up, and the general path
// begin again on wire that a message object has put into canonical form. So does every error but a broken limit: what
// looks wrong may be overridden further behind. Tests assert which path an input takes.
//
// # JSON to wire
//
// One pass, in the order in which the members come. Lengths go before their content, into a byte kept free for them;
// content of 128 bytes and more moves up to make room. Names are guessed first, since clients write fields in the order
// of their declaration, and looked up in a table if the guess is wrong. Keys of maps are compared one by one or, if
// there are many, hashed.
//
// # Requests and responses
//
// A Request makes a request message of what HTTP says, as a rule of google.api.http wants it: the body is JSON to wire,
// with the fields that the path fills read and dropped; values in path and query are JSON once they have the quotes that
// their type wants. Fields of the body come first, then the query's, then the path's. A Response is wire to JSON for a
// message or for one of its fields.
//
// # Files
//
//	options.go       Options, Limits with their reasons, Resolver
//	errors.go        Error: path, offset, reason; the path grows as the recursion unwinds
//	plan.go          the programs: message, field, enum, and their look-ups by number
//	compile.go       cold: descriptor to program; Compiler, Program
//	known.go         the well-known types and what the code expects of them
//	place.go         cold: paths of fields, and what a rule may do with them
//	request.go       body, query and path to wire; query.go, parameter.go, bodymask.go: parts of that
//	response.go      wire to the body of an answer
//	encode.go        hot: wire to JSON
//	known_encode.go  hot: the same for well-known types
//	general.go       cold: the general path; extensions and contents of Any by name
//	decode.go        hot: JSON to wire
//	decode_value.go  hot: the same for single values
//	known_decode.go  hot: the same for well-known types
//	token.go         hot: the JSON tokenizer
//	text.go          hot: strings and base64
//	number.go        hot: integers
//	float.go         hot: floating-point numbers
//	time.go          hot: Timestamp and Duration
//	mask.go          hot: paths of a FieldMask
//	wire.go          hot: the wire format
//	keys.go          hot: keys of a map that come twice
//	marks.go         hot: fields that come twice
//	table.go         hot: look-up by name
package transcode
