package raft

import (
	"errors"
	"fmt"
)

// Random is the source of election jitter; *rand.Rand of math/rand/v2 is one.
type Random interface {
	// IntN returns a number in [0, n).
	IntN(n int) int
}

// Config is what a member needs beside its stored State. The zero value of
// each limit means its default.
type Config struct {
	// ID is the member's own ID. Required.
	ID MemberID
	// Boot is the number of this start of the member, greater than that of each
	// earlier one and never used twice. Required.
	Boot uint64
	// Random is the source of election jitter. Required.
	Random Random
	// Log reads entries that have left memory. Required.
	Log LogReader

	// ElectionTicksMin and ElectionTicksMax bound the random election timeout,
	// both included, in ticks. Defaults 15 and 30: 150-300 ms at 10 ms a tick.
	ElectionTicksMin int
	ElectionTicksMax int
	// HeartbeatTicks is the heartbeat interval in ticks, at most half of
	// ElectionTicksMin. Default 5.
	HeartbeatTicks int

	// StallTicks is how long a Write may take before the disk counts as stalled:
	// then a leader hands over and no one else stands for election. Default ten
	// heartbeat intervals: 500 ms.
	StallTicks int
	// StallPauseTicks and FullPauseTicks are the least time between two attempts of
	// one member to hand over because its disk is stalled, or full. Defaults 1000
	// and 6000: 10 s and a minute.
	StallPauseTicks int
	FullPauseTicks  int

	// MaxCommandBytes bounds one command. Default and limit
	// DefaultMaxCommandBytes.
	MaxCommandBytes int
	// MaxAppendBytes bounds the entries of one AppendEntries and the proposals
	// of one Propose, which holds at least one however large. Default 1 MiB.
	MaxAppendBytes int
	// MaxInflightAppends and MaxInflightBytes bound what is sent to one
	// follower without an acknowledgement. Defaults 256 and 16 MiB.
	MaxInflightAppends int
	MaxInflightBytes   int
	// MaxUncommittedBytes bounds the uncommitted part of a leader's log, and about
	// what of the log its own disk has yet to write, committed or not; beyond it
	// proposals are refused. Default 64 MiB.
	MaxUncommittedBytes int
	// MaxWriteBytes bounds the entries of one Write, MaxApplyBytes those of one
	// Ready's Committed; each holds at least one entry. Defaults 4 MiB.
	MaxWriteBytes int
	MaxApplyBytes int
	// CacheBytes is how much of the log that is committed and on disk stays in memory,
	// for followers and a state machine that lag a little. Default 16 MiB.
	CacheBytes int
}

const mib = 1 << 20

// DefaultMaxCommandBytes is the most that one command may weigh: 4 MiB.
const DefaultMaxCommandBytes = 4 * mib

// withDefaults returns the configuration with zero limits replaced.
func (c Config) withDefaults() Config {
	set := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	set(&c.ElectionTicksMin, 15)
	set(&c.ElectionTicksMax, 30)
	set(&c.HeartbeatTicks, 5)
	set(&c.StallTicks, 10*c.HeartbeatTicks)
	set(&c.StallPauseTicks, 1000)
	set(&c.FullPauseTicks, 6000)
	set(&c.MaxCommandBytes, DefaultMaxCommandBytes)
	set(&c.MaxAppendBytes, 1*mib)
	set(&c.MaxInflightAppends, 256)
	set(&c.MaxInflightBytes, 16*mib)
	set(&c.MaxUncommittedBytes, 64*mib)
	set(&c.MaxWriteBytes, 4*mib)
	set(&c.MaxApplyBytes, 4*mib)
	set(&c.CacheBytes, 16*mib)
	return c
}

// Validate tells what is wrong with the configuration, all of it at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	demand := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	demand(c.ID != NoMember, "ID is missing")
	demand(c.Boot != 0, "Boot is missing")
	demand(c.Random != nil, "Random is missing")
	demand(c.Log != nil, "Log is missing")
	demand(c.HeartbeatTicks > 0, "HeartbeatTicks %d is not positive", c.HeartbeatTicks)
	demand(c.ElectionTicksMin >= 2*c.HeartbeatTicks,
		"ElectionTicksMin %d is less than twice HeartbeatTicks %d", c.ElectionTicksMin, c.HeartbeatTicks)
	demand(c.ElectionTicksMax > c.ElectionTicksMin,
		"ElectionTicksMax %d is not above ElectionTicksMin %d", c.ElectionTicksMax, c.ElectionTicksMin)
	demand(c.MaxCommandBytes > 0 && c.MaxCommandBytes <= DefaultMaxCommandBytes,
		"MaxCommandBytes %d is outside 1 to %d", c.MaxCommandBytes, DefaultMaxCommandBytes)
	for _, limit := range []struct {
		name  string
		value int
	}{
		{"StallTicks", c.StallTicks},
		{"StallPauseTicks", c.StallPauseTicks},
		{"FullPauseTicks", c.FullPauseTicks},
		{"MaxAppendBytes", c.MaxAppendBytes},
		{"MaxInflightAppends", c.MaxInflightAppends},
		{"MaxInflightBytes", c.MaxInflightBytes},
		{"MaxUncommittedBytes", c.MaxUncommittedBytes},
		{"MaxWriteBytes", c.MaxWriteBytes},
		{"MaxApplyBytes", c.MaxApplyBytes},
		{"CacheBytes", c.CacheBytes},
	} {
		demand(limit.value > 0, "%s %d is not positive", limit.name, limit.value)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("raft configuration: %w", errors.Join(errs...))
}
