// Package delivery is the delivery service.
//
// Drivers come from a table and carry several deliveries at a time; where they are is what their phones last said, which
// is kept in the store for all instances. How far a delivery is follows from the time since its dispatch, at the pace of
// the orders: the food leaves the restaurant and arrives when the order's status says so.
//
//	service.go  the service; reading and canceling deliveries
//	dispatch.go choosing a driver
//	fleet.go    the drivers, and where they are
//	track.go    positions from a driver's phone
//	chat.go     talking with a driver
//	distance.go the distance between two places
package delivery
