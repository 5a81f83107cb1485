package sim

import (
	"errors"
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
	// keyed are the newest requests with an idempotency key, which may be sent again.
	keyed []*request
}

// sight is what a key held; revision 0 stands for no such key.
type sight struct {
	value    string
	revision uint64
}

// operation is a client's request as one node got it, and what became of that.
type operation struct {
	client  *client
	request *request
	node    *node
	life    int
	id      raft.RequestID
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
	r := c.again()
	if r == nil {
		r = c.draw()
	} else if c.w.chance(0.7) {
		n = c.w.running()
	}
	c.do(n, r)
}

// do begins an operation at a node.
func (c *client) do(n *node, r *request) {
	w := c.w
	op := &operation{client: c, request: r, node: n, life: n.life, floor: w.oracle.commit(), record: r.Operation}
	if len(r.attempts) > 0 {
		w.count(Repetitions)
	}
	r.attempts = append(r.attempts, op)
	op.record.Start = w.now
	c.now = op
	c.done = append(c.done, op)
	if r.Kind != history.Get {
		var err error
		op.command, err = r.encode(&w.options)
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
	op.client.w.trace.tell(traceAsked, op.node, "client %d asks: %v", op.client.number, op.request)
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
	case op.doubted(a):
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
	if !ok || w.oracle.application(a.Index).operation != op || !sameResult(op.result, result) {
		w.fail("client %d is told by %v that its write is entry %d with %s; applied it was at %d with %s",
			op.client.number, op.node, a.Index, resultText(result), op.appliedAt, resultText(op.result))
	}
	if op.appliedAt <= op.floor {
		w.fail("client %d is told by %v that its write is entry %d; when it asked, %d was committed", op.client.number, op.node, a.Index, op.floor)
	}
	op.describe(&op.record, result)
	op.finish(op.record.Outcome, "")
}

// describe puts a result into the history's words.
func (op *operation) describe(o *history.Operation, r config.Result) {
	switch r.Outcome {
	case config.OutcomeApplied:
		o.Outcome, o.Revision = history.Done, r.Revision
	case config.OutcomeConflict:
		o.Outcome, o.Revision = history.Conflict, r.Current
	case config.OutcomeNotFound:
		o.Outcome, o.Revision = history.Absent, 0
	case config.OutcomeIdempotencyReused:
		o.Outcome, o.Revision = misused, 0
	default:
		o.Outcome, o.Revision = history.Rejected, 0
	}
	if o.Kind != history.Txn || r.Txn == nil {
		return
	}
	if o.Revision = 0; r.Changes > 0 {
		o.Revision = r.Revision
	}
	t := *o.Txn
	t.Succeeded, t.Saw = r.Txn.Succeeded, nil
	for i, done := range r.Txn.Operations {
		saw := history.Sight{}
		if t.Branch()[i].Kind == history.Get {
			saw = history.Sight{Revision: done.Revision, Value: op.client.w.oracle.model.at(t.Branch()[i].Key, done.Revision).value}
		}
		t.Saw = append(t.Saw, saw)
	}
	o.Txn, o.Standing = &t, r.Revision
}

// finish notes the outcome, and lets the client go on.
func (op *operation) finish(outcome history.Outcome, text string) {
	c := op.client
	w := c.w
	op.ended = true
	op.record.Outcome, op.record.Error, op.record.End = outcome, text, w.now
	op.count()
	w.trace.tell(traceAnswered, op.node, "client %d is told: %s %s, revision %d %s", c.number, op.record.Kind, outcome, op.record.Revision, text)
	if outcome != history.Unknown && outcome != history.Rejected && !op.request.answered {
		op.request.answered = true
		op.learn()
	}
	if c.now == op {
		c.now = nil
		c.pause()
	}
}

// learn lets the client know what it was told of keys.
func (op *operation) learn() {
	known, o := op.client.known, &op.record
	switch {
	case o.Outcome != history.Done && o.Outcome != history.Absent:
	case o.Kind == history.Delete:
		known[o.Key] = sight{}
	case o.Kind != history.Txn:
		known[o.Key] = sight{o.Value, o.Revision}
	default:
		for i, s := range o.Txn.Branch() {
			switch s.Kind {
			case history.Get:
				known[s.Key] = sight{o.Txn.Saw[i].Value, o.Txn.Saw[i].Revision}
			case history.Put:
				known[s.Key] = sight{s.Value, o.Revision}
			default:
				known[s.Key] = sight{}
			}
		}
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
	case misused:
		w.count(KeysMisused)
	default:
		if get {
			w.count(ReadsAnswered)
		} else {
			w.count(WritesAcknowledged)
		}
		if op.record.Kind == history.Txn {
			w.count(Transactions)
		}
	}
}
