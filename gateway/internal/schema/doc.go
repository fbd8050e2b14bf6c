// Package schema reads contracts: descriptors in, methods with their HTTP rules and policies out. It knows nothing of
// calls.
//
//   - set.go: where descriptors come from, and lookups
//   - http.go: google.api.http rules
//   - policy.go: options and configuration merged into one policy for each method
package schema
