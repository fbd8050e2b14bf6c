// Package route finds the method that an HTTP request addresses: it parses the path templates of google.api.http and
// matches request paths against thousands of them at a time. It imports only the standard library.
//
// # Paths
//
// A path is matched as the client sent it, without its query. It is split at each raw '/', so that "%2F" never
// separates; dots are ordinary characters. A segment is decoded, once, only to compare it with a literal:
// /v1/%6Frders matches /v1/orders. A path with a broken percent escape matches nothing and is told apart by
// [ErrMalformedPath].
//
//   - A literal matches the segment that equals it once both are decoded.
//   - * matches one segment that is not empty.
//   - ** matches the rest of the path: any number of segments, none and empty ones included.
//
// So /v1/orders and /v1/orders/ are different paths, and only ** matches both.
//
// # Precedence
//
// More than one template may match. These rules say which one is taken, the first rule first:
//
//  1. The verb. If the path's last segment ends in ":cancel", say, the routes with exactly the verb "cancel" are tried
//     first, with that ending cut off. Only if none of them matches is the path tried as a whole against the routes
//     without a verb; a colon is then an ordinary character, so ids such as "urn:a:b" work. The path is cut at its last
//     colon only.
//  2. The segments, left to right: a literal, then *, then **. A template that ends comes before one that goes on with
//     an empty **.
//  3. The method: its own name, then "*", which stands for every method.
//
// A choice is never final: where a branch leads to no route with the request's method, the next one is tried. With
// GET /v1/{name} and POST /v1/foo, the request GET /v1/foo finds the first. Two routes that no path could tell apart are
// refused when they are added. Each node of the tree is visited at most once for a verb and once without, so that no
// path can make a match take longer than the tree is large.
//
// # Files
//
//   - template.go: [Parse], the grammar of path templates
//   - router.go: [Builder] and [Router], the tree and the match
//   - captures.go: [Captures], a split path and the values of a template's variables
package route
