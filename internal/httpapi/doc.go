// Package httpapi serves the configuration store to clients over HTTP. It
// decodes a request, checks and limits it, asks config.Store, and encodes the
// answer; what a key or a command means stands in pkg/config.
//
// What it promises
//   - A path is percent-decoded once, by net/http, and what was checked is what
//     is carried out. Nothing is cleaned up and nothing redirected: "//" and ".."
//     in a key are refused. "%2F" is a slash like any other.
//   - What isn't offered is refused with 400 and named: an unknown query
//     parameter, a consistency level, or a header that would change the meaning
//     of a request. Nothing is accepted and ignored.
//   - Every error is application/problem+json and tells what became of a write:
//     outcome "rejected" means certainly not applied, "unknown" may be applied.
//   - Bodies, headers, connections, requests at a time, waiting requests and
//     every wait are bounded.
//   - A watch sends every revision in its scope, in order, once and as one event,
//     and can be resumed at any member from its last event without loss as long as
//     history reaches there; otherwise it says resync. Each revision is encoded
//     once for all who see the same of it, within a limit, and a client that
//     doesn't read costs a cursor until it is dropped.
//   - Values appear in answers to their readers and nowhere else.
//   - No page of another origin can write through a visitor's browser: by what the
//     browser tells of it, and because a JSON body must be called application/json.
//
// What it never does: it never sends a write twice, never calls a local read
// fresh, and never answers a host name that it wasn't told (421), so that a
// page in a browser can't reach it by rebinding a name.
//
// # A new endpoint
//
// Everything served is a row of the table in route.go: methods, path, query
// parameters, headers that change the meaning, body, handler. What the row
// doesn't list is refused before the handler. Beside it an endpoint needs
//   - its operation in openapi.json, with every status and problem code;
//   - a granted request in wholesome (everywhere_test.go), which then meets every
//     failure that any operation can; and in status_test.go a success for each
//     status below 400 and a refusal for each code that is its own;
//   - for a JSON body readJSON, which is strict, and a fuzz target.
//
// The tests fail while table, document and answers differ, in any direction: a
// parameter, header, status or code that only one of them has. Whatever a test
// sends by send is validated against the document by itself. A new kind of
// failure is one line in errors.go.
//
// internal/node makes the Handler and the http.Server around it, and calls
// Handler.Drain before it stops that server.
package httpapi
