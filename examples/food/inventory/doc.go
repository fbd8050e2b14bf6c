// Package inventory is the inventory service: menus and stock.
//
// The stock of a restaurant is one record, its ledger of holds; what is available is what the kitchen has ready less
// what is held. A reservation enters all its portions in one swap of that record, so that no two instances can ever
// promise the same portion. A hold ends by itself after a while, because the kitchen has cooked more by then.
//
//	service.go  the service; restaurants and menus
//	reserve.go  reservations
//	ledger.go   who holds what of a restaurant's stock
package inventory
