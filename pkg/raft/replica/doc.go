// Package replica drives one member of a Raft cluster: it feeds the core of
// package raft with time, messages and requests, and does what the core wants
// done with a Storage, a Sender and a StateMachine.
//
// It has two halves. Loop is a pure function over the core and the requests that
// wait: events in, effects out, no goroutine, no clock; a simulator can drive it
// step by step. Replica pumps channels around it: one goroutine runs the loop, one
// writes to the storage, one applies to the state machine, and one at a time
// writes a snapshot.
//
// What it promises: a proposal is answered exactly once, with the state machine's
// result at this member, or with an error that tells whether it may still take
// effect (ErrOutcomeUnknown) or certainly will not (all others). It is offered to
// one leader after another until it is answered or its caller gives up. The log
// may then hold it more than once, each time with the same raft.Origin, by which
// the state machine carries it out once. A read barrier
// that succeeds means that this member's state machine holds everything that was
// acknowledged anywhere before the barrier was asked for. Queues are bounded, and
// what does not fit is refused at once. On a disk that runs out of room (SpaceGauge)
// first commands that add bytes are refused and then all, with ErrDiskFull, and no
// entry is written any more but those that open a leader's term, while reads go on;
// it ends by itself when there is room again. A member whose state machine is found to
// differ from those of a majority (SelfCheck) refuses everything with ErrParked until a
// snapshot of another member has replaced its state. After the first error of the storage
// the replica stops and never writes again.
//
// What it never does: it never lets a slow disk, peer or state machine block the
// loop, and never decides anything about the content of commands.
//
// It is used by internal/node, which brings the real parts, and by simulators.
package replica
