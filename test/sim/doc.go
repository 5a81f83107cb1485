// Package sim is a whole cluster in one goroutine: real nodes (the core of
// package raft in its replica.Loop, and a config.State) on a simulated network,
// disk and clock. An event queue in virtual time is all there is, and every
// choice comes from one seed, so a seed names a run, byte for byte.
//
// # A run
//
// The seed draws the options first: how many members, their timeouts and limits
// (tiny ones too), which faults happen and how often, what the clients do, and
// perhaps a scenario, which is a habit of the faults that random ones would need
// too long to fall into. Then comes the safety phase, in which anything may
// break. At its end everything heals and the liveness phase demands that within
// a number of election timeouts (see livenessTimeouts) a leader stands, every
// member takes a write and a read, and all hold the same.
//
// Clients read, write, swap, delete and change several keys together; writes of
// some have an idempotency key and are sent again, mostly to another node, when an
// answer was lost, and now and then long after. Watchers follow a prefix at one node
// after the other, each time from where they were.
//
// # Oracles
//
// They judge after every step by what leaves a node: messages, writes to its
// disk, entries that it hands out to be applied, and answers to clients. What a
// core thinks of itself is only looked at where nothing else tells it, and then
// compared with the rest. What the store does is compared with a model that is told
// what clients meant, and so is all that a watcher is told. See oracle.go for the
// list.
//
// # Interface
//
// Run plays one seed and returns a Report. The test of this package plays many:
//
//	go test ./test/sim -run TestSeeds -seeds 1000 -first 1 -stop-at-first-failure
//
// plays seeds 1 to 1000 and ends with the exit status 1 if any failed, naming it
// in a line that begins with "FAILED seed=". Each failure tells what broke, the
// last events, and the command that replays it:
//
//	go test ./test/sim -run TestSeeds -seed 17 -trace
//
// Build the test once with go test -c, with -overlay for a changed core, to play
// seeds without compiling again. -workers bounds how many seeds are played at a
// time, all cores by default.
//
// # What it never does
//
// It never reads a clock, opens a file or a socket, or starts a goroutine inside
// a run; only tests import it. What a real disk does to bytes is not its matter:
// a torn batch is one that the storage throws away when it is opened, which the
// conformance kit of package rafttest demands of every storage.
package sim
