// Package admin holds the types of the admin endpoints, served under /admin/v1/
// on the operations port, and the client for them.
//
// The server (internal/opsapi), the operator and the command line all speak
// through it, so it uses nothing but the standard library. Fields of its types
// are only ever added: an operator meets nodes of other versions. It keeps no
// state, starts no goroutine and never retries; what a refused or lost request
// means is for its caller to decide.
package admin
