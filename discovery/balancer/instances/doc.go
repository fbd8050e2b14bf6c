// Package instances watches over the instances of a backend: which of them are fit to be called, and why the others are not.
//
// A [Set] belongs to one grpc connection. It wraps a balancer of grpc's, or Cardea's own, and adds what that lacks. The balancer
// inside goes on choosing; it sees an instance that is out as a connection that failed, and chooses another. An instance is out
//
//   - if the registry calls it unhealthy, or gives it no weight;
//   - if it does not answer health checks (grpc.health.v1, asked over the connection that calls use), or answers that it does not
//     serve;
//   - if calls fare badly on it: they fail with codes that blame the instance, or they take, or have been taking since they began,
//     much longer than the same method takes elsewhere. That is ejection; it ends by itself, with one call at a time at first.
//
// When less than a part of the instances is fit, whatever looks wrong is more likely wrong with the gateway, the registry or
// something that all instances need, and the rest would break under the load: then all are used (panic threshold).
//
// Calls tell with [WithCall] what they are; retries name the instances that they want to keep away from.
//
//   - set.go: the set of one connection, its options, and how grpc gets to know of it
//   - balancer.go: the balancer between grpc and the balancer inside
//   - conn.go: a sub-connection, and the gate that makes it look failed
//   - picker.go: the choice of an instance for a call
//   - flight.go: a call on its way, and what became of it
//   - instance.go: an instance and its fitness
//   - record.go: how calls fared lately; method.go: how long a method takes
//   - eject.go: when an instance is ejected
//   - keeper.go: the goroutine that opens and closes gates
//   - check.go: health checks
//   - connections.go: more connections where the first one is full
//   - status.go: what operators see
package instances
