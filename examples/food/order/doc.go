// Package order is the order service.
//
// An order's status is a function of the time since it was placed, unless it was canceled (progress.go). So no worker
// has to move orders forward, any instance can answer for any order, and they all say the same.
//
//	service.go   the service; reading orders
//	create.go    placing an order, once per request id
//	update.go    changing and canceling, as long as that is possible
//	watch.go     following an order
//	progress.go  how far an order is
package order
