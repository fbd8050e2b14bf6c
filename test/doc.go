// Package test holds the end-to-end tests of the cardea binary: black boxes, over sockets, with processes that are really
// killed. It has no code of its own; a file for each concept:
//
//   - main_test.go: builds the binary; process_test.go, gateway_test.go, client_test.go: programs, gateways and clients
//   - instance_test.go: a backend instance in a process of its own, with a journal of its calls
//   - demo_test.go: the demo, what it prints, and how it ends; life_test.go: the life of an order, over REST and gRPC
//   - crash_test.go, cancel_test.go, drain_test.go: an instance, a client and the gateway go away in the middle of calls
//   - chaos: instances come, crash and freeze, and so does Consul; callers do not notice
//   - serve_test.go, tls_test.go, image_test.go, metrics_test.go: configuration, TLS, contracts from images, metrics
package test
