// Package chaos holds the proof that callers do not notice when instances come, crash and freeze: a gateway, a Consul agent
// and the instances of a backend, each a process of its own, under calls that begin on schedule whatever becomes of the
// earlier ones. It has no code of its own; a file for each concept:
//
//   - main_test.go: builds the binary; process_test.go: programs that a test starts
//   - agent_test.go, instance_test.go, gateway_test.go: the three kinds of program; fleet_test.go: all of them together
//   - load_test.go: calls, and what became of them
//   - chaos_test.go: the list of faults; instances_test.go, registry_test.go, flapping_test.go, weights_test.go: the faults
//   - table_test.go: the table of results, which `go test ./chaos -update` writes into README.md
package chaos
