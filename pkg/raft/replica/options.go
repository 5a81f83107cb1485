package replica

import (
	"errors"
	"log/slog"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// LoopOptions is what a Loop needs. The zero value of each limit means its
// default.
type LoopOptions struct {
	// Core configures the Raft core, State is what the storage held at start.
	Core  raft.Config
	State raft.State
	// Boot is the number of this start of the member, greater than that of each
	// earlier one. It is part of every request's ID and every proposal's origin, so
	// that what is left of an earlier start means nothing. Required.
	Boot uint64
	// MaxProposals and MaxProposalBytes bound the proposals that are not
	// answered yet. Defaults 8192 and 64 MiB. Of them raft.MaxUnanswered at most
	// are with the leader; the others wait for their turn.
	MaxProposals     int
	MaxProposalBytes int
	// MaxReads bounds the read barriers that are not answered yet. Default
	// 65536.
	MaxReads int
	// A snapshot is taken when the log since the last one holds
	// SnapshotEntries entries or SnapshotBytes bytes, and at least as many
	// bytes as the last snapshot. Defaults 10000 and 64 MiB.
	SnapshotEntries int
	SnapshotBytes   int64
}

// Options is what a Replica needs beside its Loop's.
type Options struct {
	LoopOptions
	Storage      Storage
	Sender       Sender
	StateMachine StateMachine
	// TickInterval is the length of one tick. Default 10 ms.
	TickInterval time.Duration
	// Now is the clock that stamps a leader's entries. Default time.Now, whose
	// times hold a monotonic reading.
	Now func() time.Time
	// MaxReceived bounds the messages that wait for the loop; what exceeds it is
	// dropped. Default 4096.
	MaxReceived int
	// Logger takes what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

func (o LoopOptions) withDefaults() LoopOptions {
	if o.MaxProposals == 0 {
		o.MaxProposals = 8192
	}
	if o.MaxProposalBytes == 0 {
		o.MaxProposalBytes = 64 << 20
	}
	if o.MaxReads == 0 {
		o.MaxReads = 65536
	}
	if o.SnapshotEntries == 0 {
		o.SnapshotEntries = 10_000
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = 64 << 20
	}
	return o
}

func (o Options) withDefaults() Options {
	o.LoopOptions = o.LoopOptions.withDefaults()
	if o.TickInterval == 0 {
		o.TickInterval = 10 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxReceived == 0 {
		o.MaxReceived = 4096
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate tells what is missing or out of range.
func (o Options) Validate() error {
	switch {
	case o.Storage == nil:
		return errors.New("replica: Storage is missing")
	case o.Sender == nil:
		return errors.New("replica: Sender is missing")
	case o.StateMachine == nil:
		return errors.New("replica: StateMachine is missing")
	case o.Boot == 0:
		return errors.New("replica: Boot is missing")
	case o.TickInterval < 0 || o.MaxReceived < 0:
		return errors.New("replica: TickInterval and MaxReceived must not be negative")
	case o.MaxProposals < 0 || o.MaxProposalBytes < 0 || o.MaxReads < 0 || o.SnapshotEntries < 0 || o.SnapshotBytes < 0:
		return errors.New("replica: limits must not be negative")
	}
	return nil
}
