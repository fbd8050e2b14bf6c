// Package schema reads contracts: descriptors in, methods with their HTTP rules and policies out. It knows nothing of
// calls.
//
//   - source.go: where descriptors come from; set.go: all of them, and lookups
//   - contract.go: when two sources say the same of a service; meaning.go: and when two definitions do
//   - http.go: google.api.http rules, and those of service configurations
//   - policy.go: options and configuration merged into one policy for each method
package schema
