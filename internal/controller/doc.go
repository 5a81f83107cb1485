// Package controller makes RaftClusters real: it is the operator's one
// controller.
//
// A pass has four parts, each in a file of its own. observe.go reads the
// resource, its objects and every member's status into one value, Observed.
// plan.go decides on the single next step and the reason for it; it is pure, as
// are the files it draws on (identity.go, view.go, rollout.go, membership.go with
// the steps of operations in operation.go). act.go takes that step, and alter.go
// those that change the membership or can't be taken back. status.go writes what
// was seen, in one patch and only when it differs.
//
// It promises to do at most one thing a pass, never to let more pods go than the
// quorum can spare, never to change two voters at a time or one that the quorum
// needs, never to delete the volume of a member, never to take an object that
// belongs to somebody else, never to let a cluster that has had a leader form
// anew, and to write nothing while nothing changes.
//
// It waits inside a pass only for an answer of a member, a few seconds at most,
// and knows nothing of what is stored. cmd/operator runs it.
package controller
