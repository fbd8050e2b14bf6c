// Package httprule is a conformance suite for transcoders of google.api.http: what a request over HTTP with JSON becomes
// as a gRPC call, and what a gRPC answer becomes over HTTP.
//
// The cases are data, in cases/*.yaml: each stands below the sentence of a specification that it rests on. The contract that
// they are about is proto/httprule/v1; httprule.binpb is its descriptor image. A transcoder under test stands in front of
// the suite's backend, which records what it gets and answers as the case says.
//
//   - case.go: the form of a case, and reading them
//   - backend.go: the gRPC server behind the transcoder
//   - run.go: one case against one transcoder; stream.go: reading streams in whichever framing
//   - peers: the suite against other transcoders
package httprule
