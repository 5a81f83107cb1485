package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Report is what came of a run.
type Report struct {
	Seed uint64
	// Failure is what broke, with the last events before it, or empty.
	Failure string
	// Virtual is how long the run took by its own clock.
	Virtual time.Duration
	// Recovery is how many of the longest election timeouts the healed cluster took
	// to come to rest, in halves.
	Recovery float64
	// Hash stands for every event of the run.
	Hash   uint64
	Counts Counts
}

// Run plays a seed. Unless trace is nil, it gets every event in readable form.
func Run(seed uint64, trace io.Writer) (report Report) {
	w := newWorld(Draw(seed), trace)
	defer func() {
		report = Report{Seed: seed, Virtual: w.now, Hash: w.trace.hash, Counts: w.counts}
		if w.healed {
			report.Recovery = float64(w.now-w.options.Duration) / float64(w.options.Timeout())
		}
		if cause := recover(); cause != nil {
			report.Failure = w.explain(cause)
		}
	}()
	w.start()
	w.runUntil(w.options.Duration)
	w.heal()
	w.demandProgress()
	w.demandNothingMissed()
	w.judgeHistory()
	return report
}

// violation is what an oracle found.
type violation string

// fail ends the run.
func (w *world) fail(format string, args ...any) {
	panic(violation(fmt.Sprintf(format, args...)))
}

// explain tells what broke, the options, and the last events.
func (w *world) explain(cause any) string {
	var text strings.Builder
	if broken, ok := cause.(violation); ok {
		fmt.Fprintf(&text, "%v: %s\n", w.now, string(broken))
	} else {
		fmt.Fprintf(&text, "%v: panic: %v\n%s\n", w.now, cause, debug.Stack())
	}
	fmt.Fprintf(&text, "\n%s\n\nthe last events:\n%s", w.options.String(), w.trace.last())
	return text.String()
}

// world is one run.
type world struct {
	options  Options
	random   *rand.Rand
	now      time.Duration
	queue    queue
	nodes    []*node
	links    [maxNodes][maxNodes]link
	oracle   oracle
	clients  []*client
	nudger   *client
	watchers []*watcher
	plot     plot
	counts   Counts
	trace    trace
	// sequence numbers requests and values, boots the starts of nodes.
	sequence uint64
	boots    uint64
	// healed is set when the liveness phase begins.
	healed bool
}

func newWorld(o Options, trace io.Writer) *world {
	w := &world{options: o, random: rand.New(rand.NewPCG(o.Seed, 0x5eed))}
	w.trace.world, w.trace.writer = w, trace
	w.oracle.init(w)
	for slot := range o.Voters + o.Spares {
		w.nodes = append(w.nodes, newNode(w, slot))
	}
	return w
}

// start forms the cluster, as nodes do that have met each other: each writes the
// same first configuration.
func (w *world) start() {
	var members []raft.Member
	for _, n := range w.nodes[:w.options.Voters] {
		members = append(members, n.member())
	}
	first := raft.NewMembership(members...)
	entry := raft.Entry{Index: 1, Kind: raft.EntryMembership, Membership: &first}
	w.oracle.begin(&entry)
	for slot, n := range w.nodes {
		if slot < w.options.Voters {
			n.format(&raft.Write{Entries: []raft.Entry{entry}})
		}
		n.start()
	}
	for range w.options.Clients {
		c := newClient(w)
		w.clients = append(w.clients, c)
		c.pause()
	}
	for range w.options.Watchers {
		t := newWatcher(w)
		w.watchers = append(w.watchers, t)
		t.pause()
	}
	w.planFault()
	w.planOrder()
	w.plot.begin(w)
}

// runUntil lets everything happen up to a moment.
func (w *world) runUntil(end time.Duration) {
	for len(w.queue.events) > 0 && w.queue.events[0].at <= end {
		w.step()
	}
	w.now = end
}

// step lets the next event happen.
func (w *world) step() {
	e := w.queue.pop()
	w.now = e.at
	n := e.node
	switch {
	case e.message != nil:
		w.deliver(e.message)
	case n == nil:
		e.run()
	case n.life != e.life:
	case n.paused:
		n.held = append(n.held, e.run)
	default:
		e.run()
	}
}

// after runs a function later.
func (w *world) after(d time.Duration, run func()) { w.queue.push(event{at: w.now + d, run: run}) }

// chance is true with a probability.
func (w *world) chance(p float64) bool { return p > 0 && w.random.Float64() < p }

// upTo returns a random time up to a limit, but never 0.
func (w *world) upTo(limit time.Duration) time.Duration {
	return 1 + time.Duration(w.random.Int64N(int64(max(limit, 1))))
}

// about returns a random time of a given average.
func (w *world) about(average time.Duration) time.Duration {
	return 1 + time.Duration(w.random.ExpFloat64()*float64(average))
}

// node returns the node that is a member now, or nil when there is none with the
// ID any more.
func (w *world) node(id raft.MemberID) *node {
	slot := int(id % idsPerGeneration)
	if slot == 0 || slot > len(w.nodes) || w.nodes[slot-1].id != id {
		return nil
	}
	return w.nodes[slot-1]
}

// leader returns the running node that leads in the highest term, or nil.
func (w *world) leader() *node {
	var leader *node
	var highest raft.Term
	for _, n := range w.nodes {
		if n.loop == nil || n.loop.Leader() != n.id {
			continue
		}
		if term := n.loop.Status().Term; term > highest {
			leader, highest = n, term
		}
	}
	return leader
}

// running returns a random node that is not down, or nil.
func (w *world) running() *node {
	first := w.random.IntN(len(w.nodes))
	for i := range w.nodes {
		if n := w.nodes[(first+i)%len(w.nodes)]; n.loop != nil {
			return n
		}
	}
	return nil
}
