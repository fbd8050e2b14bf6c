// Package store is the database of the food examples: keys with values, and revisions for optimistic concurrency.
//
// The services keep all their state in a [Store], so that any instance of a service can answer any call. There are two:
// [Memory] holds everything in the process that made it, [Client] speaks to the store process of a cluster, which is
// itself a [Memory] behind the [New] server. Both behave alike, and one test suite runs against both.
//
//	store.go   the interface and its errors
//	memory.go  the entries, ordered by key
//	watch.go   who watches which keys
//	server.go  a Store as gRPC service
//	client.go  a gRPC service as Store
package store
