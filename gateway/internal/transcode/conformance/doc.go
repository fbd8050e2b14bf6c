// Package conformance holds the official protobuf conformance suite against the transcoder: every case of it that has JSON
// on either side. There is nothing to import.
//
//   - conformance_test.go starts the runner and judges what it reports
//   - testee_test.go is the program that the runner talks to: the test binary itself, started a second time
//   - transcoder_test.go lists what is put to the test
//
// The messages of the suite are in ../testdata/conformance, the runner comes from tools/conformance.
package conformance
