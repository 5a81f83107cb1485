// Package raft is the Raft consensus algorithm alone: a value that is told what
// happened and says what is to be done. It starts no goroutine, reads no clock,
// does no input or output, and takes its randomness from outside, so the same
// inputs give the same outputs, byte for byte.
//
// It follows Ongaro and Ousterhout, "In Search of an Understandable Consensus
// Algorithm" (extended version, 2014, "the paper"), and Ongaro's dissertation
// "Consensus: Bridging Theory and Practice" (2014, "the thesis"). Comments name the
// section that a rule comes from. Where to find what:
//
//	raft.go         terms, roles and dispatch                5.1, 5.5, figures 2 and 4
//	election.go     pre-vote, votes, becoming a leader       5.2, 5.4.1, 5.6, thesis 9.6
//	forwarded.go    proposals that another member sends on   8
//	replication.go  AppendEntries both ways, commit rule     5.3, 5.4.2, figures 7 and 8
//	snapshot.go     InstallSnapshot both ways                7, figure 13
//	read.go         linearizable reads without a log entry   8, thesis 6.4
//	membership.go   configurations                           6
//	change.go       their change, by joint consensus;        6, figure 11, thesis 4,
//	                when a learner may vote                  thesis 4.2.1
//	transfer.go     handing leadership over                  thesis 3.10
//	fault.go        a storage that lost what it acknowledged
//	disk.go         a disk that is full, or stalls
//	agreement.go    states that should be the same
//	parking.go      a member whose state is not
//	quorum.go       the arithmetic of majorities
//	log.go          the log: a tail in memory over the disk  figure 6
//	progress.go     what a leader knows of each follower     figure 2
//	state.go        what must outlive a crash                figure 2
//	message.go      the messages                             figures 2 and 13
//	clock.go        the leader's stamp on its entries
//	ready.go        what is to be done, and the reports of what was
//	types.go        the words: term, index, entry, reason
//	config.go, status.go, assert.go: what goes in, what can be seen, what can't be
//
// # Contract
//
// Inputs are Tick, Step, Propose, ReadIndex, ChangeMembership,
// TransferLeadership, Saved, StateHashed, StateStuck, Applied, SnapshotSaved,
// SnapshotSent, SetTime and SetSpace. After one or many of them the driver calls Ready and does, in
// this order:
//
//  1. send Messages;
//  2. hand Write to the storage, which makes Writes durable one after the other;
//  3. once a Write is durable, send its Messages and call Saved with its ID;
//  4. apply Committed to the state machine in order, after Restore if there is
//     one, and call Applied. A Restore may go back: what was handed out before it
//     and is not applied yet is dropped, or not reported;
//  5. answer Reads, once their index has been applied, and Results.
//
// A driver whose disk is busy asks for a Ready without a Write; what needs the disk
// gathers into the next one. Steps 2 and 4 may lag as long as their order stays: a
// leader's entries travel to its followers while its own disk works, and an entry is
// committed once any majority has it on disk: with a healthy leader after max(own
// disk, round trip + a follower's disk), with a slow one without waiting for it.
//
// Write IDs only grow, and Saved(id) means that everything up to id is on disk
// in order. Whatever vouches for the disk (votes, vote requests and
// acknowledgements) is among a Write's Messages, and the leader's own
// acknowledgement and a candidate's own vote are taken from Saved. So a late
// report about entries that have been overwritten since can't count for the
// new ones.
//
// # Promises
//
// The properties of figure 3 hold at all times: at most one leader a term (Election
// Safety); a leader never removes an entry of its own log (Leader Append-Only); logs
// that agree on an entry agree on all before it (Log Matching); what was committed
// stays in the log of every later leader (Leader Completeness) and is applied
// everywhere in the same order (State Machine Safety). They hold with members whose
// disks lost their log, too, as long as the storage says so (State.Faulty).
//
// While a majority of the voters runs and hears each other, and no more of them are
// faulty than the others can outvote, there is a leader and requests are answered.
// A read barrier is at least as new as everything that was committed before it was
// asked for. Every refused request is answered with a Reason, and is certainly not
// carried out, save that ReasonNotLeader leaves it open for a proposal that was sent
// on (ProposalResult). A message may be lost, repeated, delayed or reordered at will.
//
// A member whose state machine was found to differ from those of a majority is parked
// (Status.Parked): it applies nothing, never stands for election, and leads for an election
// timeout at most, until a snapshot of another member has replaced its state.
//
// # What it never does
//
// It never asks for the time, the network or the disk, never ranges over a map,
// and never goes on after an invariant broke: that is a panic (assert.go),
// since every further step might destroy what was acknowledged. Its driver is
// package replica; nothing else should call it, save tests and simulators.
//
// # The first configuration
//
// A cluster begins with entry 1 of term 0: the configuration, the same bytes on
// every member. It counts as committed from the start.
package raft
