// Package opsapi serves the operations port, 8402: what probes, scrapers, the
// operator and people in trouble ask of one node.
//
//	/livez             the process and its loop turn; never depends on a quorum
//	/readyz            the node may be sent clients
//	/quorumz           a leader is known and a fresh read goes through
//	/metrics           Prometheus
//	/admin/v1/status   what internal/admin calls a Status; needs a bearer token
//	/debug/pprof/      profiles, for requests that come from this machine only
//
// It promises that no answer but /quorumz waits for other nodes, that /quorumz
// costs one probe however many ask at the same time, that every refusal says why
// (one line of text on the health endpoints, an admin.Problem elsewhere), and
// that a token is compared in constant time and never shown. It decides nothing
// about the node: it declares what it asks as the interface Node. It never speaks
// of keys and values, and it starts no goroutine.
//
// internal/node puts its handler behind a server with time limits; kubelets,
// Prometheus, the operator and `conclave` call it over HTTP.
package opsapi
