// Package rafttest holds what tests of the Raft packages share: a cluster on
// virtual time whose every step can be told as a story (Cluster, RunScript),
// and the conformance kit and memory implementation of the storage.
//
// It promises determinism: no clock, no goroutine, no global randomness. It is
// imported by tests only.
package rafttest
