// Package food runs the example services: a small food delivery in the city of Limen, contracts in proto/food.
//
// Each service is a package of its own; this one makes a gRPC server of it. All state is in a store, so that any number
// of instances of a service answer alike. Package cluster runs several instances as processes of their own.
//
//	food.go      which services there are; serving one of them
//	instance.go  the gRPC server around a service
//	child.go     one instance as the child of a cluster
package food
