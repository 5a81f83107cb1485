// Package opsapi serves the operations port, 8402: what probes, scrapers, the
// operator and people in trouble ask of one node.
//
//	/livez             the process and its loop turn; never depends on a quorum
//	/readyz            the node may be sent clients
//	/quorumz           a leader is known and a fresh read goes through
//	/metrics           Prometheus
//	/admin/v1/         what people and the operator tell a node; needs a bearer token or,
//	              over TLS, a client certificate
//	/debug/pprof/      profiles, for requests that come from this machine only
//
// Below /admin/v1/, answers are JSON types of internal/admin, with 200:
//
//	GET    status                what the node says of itself: Status
//	POST   members               add a learner: NewMember -> Membership
//	POST   members/{id}/promote  make a learner a voter -> Membership
//	DELETE members/{id}          remove a member -> Membership
//	POST   transfer              hand the leadership over: TransferRequest -> Transfer
//	POST   snapshot              write a snapshot now -> Snapshot
//	POST   verify                read the whole log and the newest snapshot -> Verification
//
// Only the leader changes the membership and hands over; any other node answers
// 409 not_leader with the leader's name, and forwards nothing, since a token goes
// nowhere that its holder didn't name. An answer comes when the change is
// complete. A change may be bound to one membership by If-Match with the
// membershipIndex of a status in quotes; 412 membership_changed otherwise. What
// the algorithm does not allow is a 409 with its reason; when the time is up
// first, the answer is 504 outcome_unknown, and the next status tells. Where an
// operator runs the cluster, it alone changes the membership; others get 409
// managed.
//
// It promises that no answer but /quorumz and those to what changes something
// waits for other nodes, that /quorumz costs one probe however many ask at the
// same time, that every refusal says why (one line of text on the health
// endpoints, an admin.Problem elsewhere), and that a token is compared in constant
// time and never shown. It decides nothing about the node: it declares what it
// asks as the interfaces Node and Steward. It never speaks of keys and values, and
// it starts no goroutine.
//
// internal/node puts its handler behind a server with time limits; kubelets,
// Prometheus, the operator and `conclave` call it over HTTP.
package opsapi
