// Package cluster runs the food services as a fleet of real processes on this machine: one store, and several instances
// of each service. A gateway in front of them has something to balance, and something that can be killed.
//
// Parent and child agree on this: the child prints "listening ADDRESS" on stdout when it can be called, and lives
// exactly as long as its stdin is open. The parent alone holds the other end of that pipe, so the operating system
// ends the children when the parent is gone, however it went.
//
//	cluster.go  the fleet: start, look at, stop
//	process.go  one child
//	lines.go    what it writes to stderr
package cluster
