package sim

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/replica"
	"github.com/conclave-dev/conclave/test/e2e/history"
)

// namespace is where all keys of a run are.
const namespace = "sim"

// client does one operation after the other, at whichever node it likes.
type client struct {
	w      *world
	number int
	// favourite is the node that it asks mostly.
	favourite int
	// known is what it last saw of each key.
	known map[string]sight
	now   *operation
	done  []*operation
}

// sight is what a key held; revision 0 stands for no such key.
type sight struct {
	value    string
	revision uint64
}

// operation is a client's request and what became of it.
type operation struct {
	client *client
	node   *node
	life   int
	id     raft.RequestID
	// asked is set once the node has the request, ended once the client has its
	// answer or waits no longer.
	asked, ended bool
	command      []byte
	// floor is what was committed when the operation began: whoever is told
	// anything must be told at least that.
	floor  raft.Index
	record history.Operation
	// appliedAt is the index of its command, 0 before it is applied anywhere,
	// appliedTime when that was first, and result what it did.
	appliedAt   raft.Index
	appliedTime time.Duration
	result      config.Result
}

func newClient(w *world) *client {
	return &client{w: w, number: len(w.clients) + 1, favourite: w.random.IntN(len(w.nodes)), known: map[string]sight{}}
}

// pause waits and begins the next operation.
func (c *client) pause() { c.w.after(c.w.about(c.w.options.Think), c.begin) }

func (c *client) begin() {
	if c.w.healed {
		return
	}
	n := c.w.nodes[c.favourite]
	if n.loop == nil || c.w.random.IntN(6) == 0 {
		n = c.w.running()
	}
	if n == nil {
		c.pause()
		return
	}
	c.favourite = n.slot
	c.do(n, c.draw())
}

// draw makes the next operation up.
func (c *client) draw() history.Operation {
	w, o := c.w, &c.w.options
	record := history.Operation{Worker: c.number, Kind: history.Put, Key: fmt.Sprintf("k%d", 1+w.random.IntN(o.Keys))}
	switch {
	case w.chance(o.Reads):
		record.Kind = history.Get
		return record
	case w.chance(o.Deletes):
		record.Kind = history.Delete
		return record
	case w.chance(o.Swaps):
		record.Kind = history.Swap
		record.Demand, record.Demanded = c.known[record.Key].revision, c.known[record.Key].value
	}
	w.sequence++
	record.Value = fmt.Sprintf("v%d", w.sequence)
	if room := o.ValueBytes - len(record.Value); room > 0 {
		record.Value += strings.Repeat(".", w.random.IntN(room))
	}
	return record
}

// encode returns the command of a write.
func encode(o *history.Operation) ([]byte, error) {
	if o.Kind == history.Delete {
		command := config.Delete{Namespace: namespace, Key: o.Key}
		return command.Encode()
	}
	command := config.Put{Namespace: namespace, Key: o.Key, Value: []byte(o.Value)}
	if o.Kind == history.Swap {
		command.If = config.IfRevision(o.Demand)
	}
	return command.Encode()
}

// do begins an operation at a node.
func (c *client) do(n *node, record history.Operation) {
	w := c.w
	op := &operation{client: c, node: n, life: n.life, floor: w.oracle.commit(), record: record}
	op.record.Start = w.now
	c.now = op
	c.done = append(c.done, op)
	if record.Kind != history.Get {
		var err error
		op.command, err = encode(&op.record)
		n.must(err)
		w.oracle.commands[&op.command[0]] = op
	}
	n.after(1, op.ask)
	w.after(w.options.Patience, op.giveUp)
}

// ask hands the request to the node.
func (op *operation) ask() {
	if op.ended {
		return
	}
	op.asked = true
	op.client.w.trace.tell(traceAsked, op.node, "client %d asks: %s %s %s", op.client.number, op.record.Kind, op.record.Key, op.record.Value)
	op.node.ask(func(id raft.RequestID) replica.Event {
		op.id = id
		if op.record.Kind == history.Get {
			return replica.ReadAsked{ID: id}
		}
		return replica.Proposed{ID: id, Data: op.command, FreesSpace: op.record.Kind == history.Delete}
	}, op.answered)
}

// giveUp ends a client's patience: it withdraws, or leaves a node that says
// nothing.
func (op *operation) giveUp() {
	switch n := op.node; {
	case op.ended:
	case n.life == op.life && op.asked && !n.paused:
		n.handle(replica.Cancelled{ID: op.id})
	default:
		op.lost("the node says nothing")
	}
}

// lost ends an operation without an answer.
func (op *operation) lost(why string) {
	if op.ended {
		return
	}
	if op.node.pending != nil && op.node.life == op.life {
		delete(op.node.pending, op.id)
	}
	op.finish(history.Unknown, why)
}

// dropRequests ends what waits for a node that is gone.
func (w *world) dropRequests(n *node) {
	for _, c := range w.clients {
		if c.now != nil && c.now.node == n {
			c.now.lost("the node is gone")
		}
	}
}

// answered takes the node's answer.
func (op *operation) answered(a replica.Answer) {
	switch {
	case op.ended:
	case errors.Is(a.Err, replica.ErrOutcomeUnknown):
		op.finish(history.Unknown, a.Err.Error())
	case a.Err != nil:
		op.rejected(a.Err)
	case op.record.Kind == history.Get:
		op.read(a)
	default:
		op.written(a)
	}
}

// rejected takes the word that a request certainly has no effect.
func (op *operation) rejected(err error) {
	w := op.client.w
	if op.appliedAt != 0 {
		w.fail("client %d was told %q by %v, but its command was applied at %d", op.client.number, err, op.node, op.appliedAt)
	}
	if errors.Is(err, replica.ErrDiskFull) {
		w.count(WritesRefusedFull)
	}
	op.finish(history.Rejected, err.Error())
}

// read judges the answer of a read: it must see all that was committed anywhere
// before it was asked for.
func (op *operation) read(a replica.Answer) {
	w, view := op.client.w, op.node.machine.View()
	if a.Index < op.floor || view.Index < uint64(a.Index) {
		w.fail("a stale read: client %d reads at %v as of index %d, state %d; committed when it asked was %d",
			op.client.number, op.node, a.Index, view.Index, op.floor)
	}
	if op.node.loop.Leader() != op.node.id {
		w.count(ReadsElsewhere)
	}
	op.record.Standing = view.Revision
	if e := view.Get(namespace, op.record.Key); e != nil {
		op.record.Value, op.record.Revision = string(e.Value), e.ModRevision
	}
	op.finish(history.Done, "")
}

// written judges the answer of a write: the command must be committed where the
// answer says, and must have done what it says.
func (op *operation) written(a replica.Answer) {
	w := op.client.w
	result, ok := a.Result.(config.Result)
	if !ok || w.oracle.application(a.Index).operation != op || op.result != result {
		w.fail("client %d is told by %v that its write is entry %d with %+v; applied it was at %d with %+v",
			op.client.number, op.node, a.Index, a.Result, op.appliedAt, op.result)
	}
	if op.appliedAt <= op.floor {
		w.fail("client %d is told by %v that its write is entry %d; when it asked, %d was committed", op.client.number, op.node, a.Index, op.floor)
	}
	outcome, revision := describe(result)
	op.record.Revision = revision
	op.finish(outcome, "")
}

// describe returns a result in the history's words.
func describe(r config.Result) (history.Outcome, uint64) {
	switch r.Outcome {
	case config.OutcomeApplied:
		return history.Done, r.Revision
	case config.OutcomeConflict:
		return history.Conflict, r.Current
	case config.OutcomeNotFound:
		return history.Absent, 0
	default:
		return history.Rejected, 0
	}
}

// finish notes the outcome, and lets the client go on.
func (op *operation) finish(outcome history.Outcome, text string) {
	c := op.client
	w := c.w
	op.ended = true
	op.record.Outcome, op.record.Error, op.record.End = outcome, text, w.now
	op.count()
	w.trace.tell(traceAnswered, op.node, "client %d is told: %s %s, revision %d %s", c.number, op.record.Kind, outcome, op.record.Revision, text)
	if outcome == history.Done || outcome == history.Absent {
		c.known[op.record.Key] = sight{op.record.Value, op.record.Revision}
		if op.record.Kind == history.Delete {
			c.known[op.record.Key] = sight{}
		}
	}
	if c.now == op {
		c.now = nil
		c.pause()
	}
}

func (op *operation) count() {
	w, get := op.client.w, op.record.Kind == history.Get
	switch op.record.Outcome {
	case history.Unknown, history.Rejected:
		switch {
		case get:
			w.count(ReadsRefused)
		case op.record.Outcome == history.Unknown:
			w.count(WritesUnknown)
		default:
			w.count(WritesRefused)
		}
	case history.Conflict:
		w.count(Conflicts)
	default:
		if get {
			w.count(ReadsAnswered)
		} else {
			w.count(WritesAcknowledged)
		}
	}
}

// judgeHistory lets the checker of histories look at what clients saw. What a
// write of unknown outcome did is known by now, though its client never learned
// of it: it happened before it was first applied, or never will. So every write
// has a revision, and every history can be decided.
func (w *world) judgeHistory() {
	var all history.History
	for _, c := range w.clients {
		for _, op := range c.done {
			o := op.record
			if o.Outcome == history.Unknown || !op.ended {
				outcome, revision := describe(op.result)
				if op.appliedAt == 0 || outcome != history.Done {
					continue
				}
				w.count(WritesUnknownApplied)
				o.Outcome, o.Revision, o.End = outcome, revision, max(o.Start, op.appliedTime)
			}
			if o.Outcome != history.Rejected {
				all.Operations = append(all.Operations, o)
			}
		}
	}
	if err := all.Check(); err != nil {
		w.fail("the history is not linearizable: %v", err)
	}
}
