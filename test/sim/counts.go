package sim

import (
	"fmt"
	"strings"
)

// Counter names something that is counted because a run in which it never
// happens proves nothing about it.
type Counter int

// The counters.
const (
	Elections Counter = iota
	Campaigns
	Votes
	Acknowledgements
	MembershipChanges
	Truncations
	Snapshots
	Installs
	Restores
	Streams
	StreamsFailed
	StreamsLate
	Writes
	CrashesBeforeWrite
	CrashesAfterWrite
	MessagesDelivered
	MessagesDropped
	MessagesCut
	MessagesRepeated
	MessagesShortened
	WritesAcknowledged
	WritesRefused
	WritesRefusedFull
	WritesUnknown
	WritesUnknownApplied
	CopiesApplied
	Transactions
	Repetitions
	KeysMisused
	WatchesFollowed
	WatchesSynced
	RevisionsTold
	Bookmarks
	Resyncs
	ReadsAnswered
	ReadsRefused
	ReadsElsewhere
	Conflicts
	OrdersDone
	OrdersRefused
	OrdersUnknown
	TransfersDone
	Wipes
	FaultCrash
	FaultRestart
	FaultPause
	FaultIsolate
	FaultSplit
	FaultBridge
	FaultOneWay
	FaultSlowLinks
	FaultStall
	FaultSlowDisk
	FaultSlowApply
	FaultBurst
	FaultClock
	FaultForget
	FaultFull
	Mended
	FaultTamper
	StatesTampered
	Parkings
	Adoptions
	counters
)

var counterNames = [counters]string{
	"elections", "candidacies", "votes", "acknowledged appends", "committed configurations", "truncations",
	"snapshots", "installed snapshots", "restores", "snapshot streams", "failed streams", "streams that arrived all the same",
	"disk writes", "crashes with a lost write", "crashes with a kept write",
	"messages delivered", "dropped", "cut", "repeated", "shortened",
	"writes acknowledged", "refused", "refused for a full disk", "of unknown outcome", "of those applied", "copies in the log", "transactions", "writes sent again", "idempotency keys used for two",
	"watches", "states that watches begin with", "revisions told", "bookmarks", "resyncs",
	"reads answered", "reads refused", "reads at others than leaders", "conflicts",
	"changes of membership done", "refused", "unknown", "transfers done", "wipes",
	"crashes", "restarts", "pauses", "isolations", "splits", "bridges", "one-way cuts", "slow links",
	"disk stalls", "slow disks", "slow state machines", "tick bursts", "clock changes", "disks that forgot", "full disks", "members whole again",
	"attempts to tamper", "states tampered with", "members parked", "adopted snapshots",
}

// String is the counter's name.
func (c Counter) String() string { return counterNames[c] }

// Counts tells how often each thing happened.
type Counts [counters]uint64

func (w *world) count(c Counter) { w.counts[c]++ }

// Add adds another run's counts.
func (c *Counts) Add(other *Counts) {
	for i := range c {
		c[i] += other[i]
	}
}

// String tells all counts, separated by commas.
func (c *Counts) String() string {
	texts := make([]string, counters)
	for i, n := range c {
		texts[i] = fmt.Sprintf("%d %v", n, Counter(i))
	}
	return strings.Join(texts, ", ")
}
