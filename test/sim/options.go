package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// maxNodes bounds the nodes of a run, spare ones included.
const maxNodes = 7

// Options is what a seed draws before its run begins. They differ much from seed
// to seed, because faults hide each other: what one setting never shows, another
// shows at once.
type Options struct {
	Seed uint64
	// Voters begin as members, Spares with nothing on disk.
	Voters int
	Spares int
	// Duration is the length of the safety phase.
	Duration time.Duration

	// Tick is the length of a tick, ElectionTicks and HeartbeatTicks are counted
	// in it.
	Tick             time.Duration
	ElectionTicksMin int
	ElectionTicksMax int
	HeartbeatTicks   int

	// Limits of the core and the loop; see raft.Config and replica.LoopOptions.
	MaxAppendBytes      int
	MaxInflightAppends  int
	MaxInflightBytes    int
	MaxUncommittedBytes int
	MaxWriteBytes       int
	MaxApplyBytes       int
	CacheBytes          int
	StallTicks          int
	PauseTicks          int
	SnapshotEntries     int
	MaxProposals        int
	MaxReads            int

	// Delay bounds how long a message, a write and an application take. A message
	// takes up to TailDelay with the chance TailChance.
	Delay      time.Duration
	TailDelay  time.Duration
	TailChance float64
	DiskDelay  time.Duration
	ApplyDelay time.Duration
	// Drop, Repeat and Shorten are chances of each message, InOrder keeps those of a link
	// in order, FailStream is the chance of a snapshot to end halfway.
	Drop       float64
	Repeat     float64
	Shorten    float64
	InOrder    bool
	FailStream float64
	// Gather is the chance that a node takes more events in before it acts.
	Gather float64
	// Skew is how much faster or slower than others a node's clock may go.
	Skew float64

	// Faults tells how often each kind is chosen, FaultEvery how long it is on
	// average from one to the next, 0 for never.
	Faults     [faultKinds]int
	FaultEvery time.Duration
	Scenario   scenario
	// HashEvery is the distance of the indexes at which members compare their states, 0
	// for never.
	HashEvery raft.Index
	// ChangeEvery is the average time between two orders about the membership, 0
	// for none.
	ChangeEvery time.Duration

	Clients int
	Keys    int
	// Think is a client's average pause, Patience how long it waits.
	Think    time.Duration
	Patience time.Duration
	// Reads, Transactions, Deletes and Swaps are the chances of an operation to be
	// one; the rest are puts. Keyed is that of a write to have an idempotency key.
	Reads        float64
	Transactions float64
	Deletes      float64
	Swaps        float64
	Keyed        float64
	// ValueBytes bounds the values.
	ValueBytes int
	// Watchers watch, and look every WatchEvery on average.
	Watchers   int
	WatchEvery time.Duration
	// HistoryRevisions is how many revisions the store keeps, 0 for its default.
	HistoryRevisions uint64
}

// Draw returns the options of a seed.
func Draw(seed uint64) Options {
	r := rand.New(rand.NewPCG(seed, 0x0ddba11))
	o := Options{Seed: seed, Voters: pick(r, 1, 2, 3, 3, 3, 4, 5, 5, 5), Spares: pick(r, 0, 0, 1, 2)}
	o.drawTimes(r)
	o.drawLimits(r)
	o.drawNetwork(r)
	o.drawFaults(r)
	o.drawClients(r)
	if o.Scenario != scenarioNone {
		o.Scenario.habit().shape(&o, r)
	}
	o.drawComparison()
	return o
}

// pick chooses one of several values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

func (o *Options) drawTimes(r *rand.Rand) {
	o.Tick = pick[time.Duration](r, 10, 20, 50) * time.Millisecond
	o.ElectionTicksMin = 4 + r.IntN(9)
	o.ElectionTicksMax = o.ElectionTicksMin + 1 + r.IntN(o.ElectionTicksMin)
	o.HeartbeatTicks = 1 + r.IntN(o.ElectionTicksMin/2)
	o.Duration = time.Duration(1500+r.IntN(1500)) * o.Tick
}

// Timeout is the longest election timeout, by which the run's other times are
// measured.
func (o *Options) Timeout() time.Duration { return time.Duration(o.ElectionTicksMax) * o.Tick }

func (o *Options) drawLimits(r *rand.Rand) {
	o.MaxAppendBytes, o.MaxWriteBytes, o.MaxApplyBytes = 1<<20, 4<<20, 4<<20
	o.MaxInflightAppends, o.MaxInflightBytes = 256, 16<<20
	o.MaxUncommittedBytes, o.CacheBytes, o.SnapshotEntries = 64<<20, 16<<20, 10_000
	if r.IntN(2) == 0 {
		o.MaxAppendBytes = pick(r, 1, 300, 1000)
		o.MaxInflightAppends = pick(r, 1, 2, 8)
	}
	if r.IntN(2) == 0 {
		o.MaxWriteBytes, o.MaxApplyBytes = pick(r, 1, 400, 1000), pick(r, 1, 400, 1000)
		o.MaxInflightBytes = pick(r, 1, 500, 2000)
	}
	if r.IntN(4) == 0 {
		o.MaxUncommittedBytes = pick(r, 1, 600, 5000)
	}
	if r.IntN(2) == 0 {
		o.CacheBytes = pick(r, 1, 400, 3000)
	}
	o.MaxProposals, o.MaxReads = pick(r, 0, 0, 0, 1, 3), pick(r, 0, 0, 0, 1, 3)
	if r.IntN(2) == 0 {
		o.StallTicks, o.PauseTicks = 1+r.IntN(2*o.ElectionTicksMax), 10+r.IntN(200)
	}
	if r.IntN(3) > 0 {
		o.SnapshotEntries = pick(r, 3, 10, 30, 100)
	}
}

func (o *Options) drawNetwork(r *rand.Rand) {
	timeout := o.Timeout()
	o.Delay = timeout / pick[time.Duration](r, 6, 20, 100)
	o.TailChance = pick(r, 0, 0, 0.01, 0.05)
	o.TailDelay = timeout * pick[time.Duration](r, 1, 3)
	o.DiskDelay = timeout / pick[time.Duration](r, 3, 15, 100)
	o.ApplyDelay = timeout / pick[time.Duration](r, 5, 50, 1000)
	o.Drop = pick(r, 0, 0, 0.01, 0.1, 0.3)
	o.Repeat = pick(r, 0, 0.01, 0.1)
	o.Shorten = pick(r, 0, 0, 0.02, 0.3)
	o.InOrder = r.IntN(3) == 0
	o.FailStream = pick(r, 0, 0.1, 0.5)
	o.Gather = pick(r, 0, 0, 0.2, 0.6)
	o.Skew = pick(r, 0, 0.02, 0.3)
}

func (o *Options) drawFaults(r *rand.Rand) {
	for kind := range o.Faults[:faultTamper] {
		if r.IntN(2) == 0 {
			o.Faults[kind] = 1 + r.IntN(4)
			o.FaultEvery = o.Timeout() * pick[time.Duration](r, 1, 2, 4, 8)
		}
	}
	if r.IntN(2) == 0 {
		o.ChangeEvery = o.Timeout() * pick[time.Duration](r, 1, 3, 8)
		o.Spares = max(o.Spares, 1)
	}
	if r.IntN(4) > 0 {
		o.Scenario = scenario(r.IntN(int(scenarioKinds)))
	}
}

func (o *Options) drawClients(r *rand.Rand) {
	o.Clients = 1 + r.IntN(6)
	o.Keys = 1 + r.IntN(4)
	operations := 150 + r.IntN(350)
	o.Think = o.Duration * time.Duration(o.Clients) / time.Duration(operations)
	o.Patience = o.Timeout() * pick[time.Duration](r, 2, 5, 15)
	o.Reads = pick(r, 0.2, 0.5, 0.8)
	o.Swaps = pick(r, 0, 0.2, 0.4)
	o.Deletes = pick(r, 0, 0.05, 0.2)
	o.ValueBytes = pick(r, 8, 40, 300)
	o.Transactions = pick(r, 0, 0.1, 0.4)
	o.Keyed = pick(r, 0, 0.3, 0.8)
	o.HistoryRevisions = pick[uint64](r, 0, 0, 3, 20)
	o.Watchers = 1 + r.IntN(3)
	o.WatchEvery = o.Duration / time.Duration(50+r.IntN(200))
}

// core returns what a node's core is made with; the node adds what is its own.
func (o *Options) core() raft.Config {
	return raft.Config{
		ElectionTicksMin: o.ElectionTicksMin, ElectionTicksMax: o.ElectionTicksMax, HeartbeatTicks: o.HeartbeatTicks,
		MaxAppendBytes: o.MaxAppendBytes, MaxInflightAppends: o.MaxInflightAppends, MaxInflightBytes: o.MaxInflightBytes,
		MaxUncommittedBytes: o.MaxUncommittedBytes, MaxWriteBytes: o.MaxWriteBytes, MaxApplyBytes: o.MaxApplyBytes,
		CacheBytes: o.CacheBytes,
		StallTicks: o.StallTicks, StallPauseTicks: o.PauseTicks, FullPauseTicks: o.PauseTicks,
	}
}

// String tells the options in a few lines.
func (o *Options) String() string {
	text := fmt.Sprintf("%d voters, %d spares, scenario %v, safety phase %v\n", o.Voters, o.Spares, o.Scenario, o.Duration)
	text += fmt.Sprintf("tick %v, election %d to %d ticks, heartbeat %d, skew %v\n",
		o.Tick, o.ElectionTicksMin, o.ElectionTicksMax, o.HeartbeatTicks, o.Skew)
	text += fmt.Sprintf("append %d B, in flight %d and %d B, uncommitted %d B, write %d B, apply %d B, cache %d B, snapshot after %d entries, stalled after %d ticks, pause %d, at most %d proposals and %d reads\n",
		o.MaxAppendBytes, o.MaxInflightAppends, o.MaxInflightBytes, o.MaxUncommittedBytes,
		o.MaxWriteBytes, o.MaxApplyBytes, o.CacheBytes, o.SnapshotEntries, o.StallTicks, o.PauseTicks, o.MaxProposals, o.MaxReads)
	text += fmt.Sprintf("delay %v, tail %v with %v, disk %v, apply %v, drop %v, repeat %v, shorten %v, in order %t, failing streams %v, gather %v\n",
		o.Delay, o.TailDelay, o.TailChance, o.DiskDelay, o.ApplyDelay, o.Drop, o.Repeat, o.Shorten, o.InOrder, o.FailStream, o.Gather)
	text += fmt.Sprintf("a fault every %v:", o.FaultEvery)
	for kind, weight := range o.Faults {
		if weight > 0 {
			text += fmt.Sprintf(" %v", faultKind(kind))
		}
	}
	text += fmt.Sprintf("; states compared every %d", o.HashEvery)
	return text + fmt.Sprintf("; a change every %v\n%d clients, %d keys, think %v, patience %v, reads %v, transactions %v, deletes %v, swaps %v, keyed %v, values up to %d B, history of %d, %d watchers every %v",
		o.ChangeEvery, o.Clients, o.Keys, o.Think, o.Patience, o.Reads, o.Transactions, o.Deletes, o.Swaps, o.Keyed, o.ValueBytes, o.HistoryRevisions, o.Watchers, o.WatchEvery)
}
