package sim

import (
	"fmt"
	"strings"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/test/e2e/history"
)

const (
	// kindSettings is a change of the store's settings, which no history knows.
	kindSettings history.Kind = "settings"
	// misused is the outcome of a request with the idempotency key of another.
	misused history.Outcome = "misused"
)

// request is what a client wants. One with an idempotency key may be sent again and
// again, to any node; each time is an operation.
type request struct {
	history.Operation
	// idempotency is its key, empty for none.
	idempotency string
	// first is what came of it when it was first carried out, if it has a key.
	first config.Result
	// attempts are the operations, and answered is set once one of them was told
	// what became of it.
	attempts []*operation
	answered bool
}

// String tells the request in one line.
func (r *request) String() string {
	text := fmt.Sprintf("%s %s %s", r.Kind, r.Key, r.Value)
	switch r.Kind {
	case history.Swap:
		text += fmt.Sprintf(" in place of revision %d", r.Demand)
	case history.Txn:
		text = r.Txn.String()
	}
	if r.idempotency != "" {
		text += " with the key of " + r.idempotency
	}
	return text
}

// maxRemembered is how many requests with a key a client may come back to.
const maxRemembered = 16

// draw makes the next request up.
func (c *client) draw() *request {
	w, o := c.w, &c.w.options
	if c.number == 1 && o.HistoryRevisions > 0 && len(c.done) == 0 {
		return &request{Operation: history.Operation{Worker: c.number, Kind: kindSettings}}
	}
	r := &request{Operation: history.Operation{Worker: c.number, Kind: history.Put, Key: c.key()}}
	switch {
	case w.chance(o.Reads):
		r.Kind = history.Get
		return r
	case w.chance(o.Transactions):
		r.Kind, r.Key, r.Txn = history.Txn, "", c.drawTxn()
	case w.chance(o.Deletes):
		r.Kind = history.Delete
	case w.chance(o.Swaps):
		r.Kind = history.Swap
		r.Demand, r.Demanded = c.known[r.Key].revision, c.known[r.Key].value
	}
	if r.Kind == history.Put || r.Kind == history.Swap {
		r.Value = c.value()
	}
	if w.chance(o.Keyed) {
		r.idempotency = fmt.Sprintf("client %d, request %d", c.number, len(c.done))
		if len(c.keyed) == maxRemembered {
			c.keyed = append(c.keyed[:0], c.keyed[1:]...)
		}
		c.keyed = append(c.keyed, r)
	}
	return r
}

// key draws one of the keys.
func (c *client) key() string { return fmt.Sprintf("k%d", 1+c.w.random.IntN(c.w.options.Keys)) }

// value makes up a value that nobody has written.
func (c *client) value() string {
	w := c.w
	w.sequence++
	value := fmt.Sprintf("v%d", w.sequence)
	if room := w.options.ValueBytes - len(value); room > 0 {
		value += strings.Repeat(".", w.random.IntN(room))
	}
	return value
}

// drawTxn makes up a transaction, under conditions that mostly hold if the client
// knows what is there.
func (c *client) drawTxn() *history.Transaction {
	t := &history.Transaction{}
	for range c.w.random.IntN(3) {
		key := c.key()
		t.If = append(t.If, history.Condition{Key: key, Revision: c.known[key].revision})
	}
	t.Then = c.drawSteps(1)
	t.Else = c.drawSteps(0)
	return t
}

// drawSteps makes up the steps of a branch, of different keys.
func (c *client) drawSteps(least int) (steps []history.Step) {
	random := c.w.random
	keys := random.Perm(c.w.options.Keys)
	for _, key := range keys[:min(len(keys), least+random.IntN(3))] {
		s := history.Step{Kind: pick(random, history.Put, history.Put, history.Get, history.Delete), Key: fmt.Sprintf("k%d", 1+key)}
		if s.Kind == history.Put {
			s.Value = c.value()
		}
		steps = append(steps, s)
	}
	return steps
}

// again returns a request that is to be sent once more, or nil: mostly the newest
// one if its answer was lost, and now and then an older one.
func (c *client) again() *request {
	w := c.w
	if len(c.keyed) == 0 {
		return nil
	}
	newest, any := c.keyed[len(c.keyed)-1], c.keyed[w.random.IntN(len(c.keyed))]
	switch {
	case !newest.answered && w.chance(0.9):
		return newest
	case w.chance(0.1):
		return any
	case any.answered && w.chance(0.02):
		return &request{Operation: history.Operation{Worker: c.number, Kind: history.Put, Key: c.key(), Value: c.value()}, idempotency: any.idempotency}
	default:
		return nil
	}
}

// encode returns the command of a write.
func (r *request) encode(o *Options) ([]byte, error) {
	switch r.Kind {
	case kindSettings:
		command := config.PutSettings{Settings: config.Settings{HistoryRevisions: o.HistoryRevisions, HistoryAgeMillis: 1}}
		return command.Encode()
	case history.Txn:
		command := config.Txn{Namespace: namespace, Idempotency: r.idempotency, Then: operations(r.Txn.Then), Else: operations(r.Txn.Else)}
		for _, c := range r.Txn.If {
			command.If = append(command.If, config.Condition{Key: c.Key, Is: config.IfRevision(c.Revision)})
		}
		return command.Encode()
	case history.Delete:
		command := config.Delete{Namespace: namespace, Key: r.Key, Idempotency: r.idempotency}
		return command.Encode()
	}
	command := config.Put{Namespace: namespace, Key: r.Key, Value: []byte(r.Value), Idempotency: r.idempotency}
	if r.Kind == history.Swap {
		command.If = config.IfRevision(r.Demand)
	}
	return command.Encode()
}

var operationKinds = map[history.Kind]config.OperationKind{
	history.Put: config.OperationPut, history.Delete: config.OperationDelete, history.Get: config.OperationGet,
}

func operations(steps []history.Step) (all []config.Operation) {
	for _, s := range steps {
		all = append(all, config.Operation{Kind: operationKinds[s.Kind], Key: s.Key, Value: []byte(s.Value)})
	}
	return all
}

// outcome is what became of the request: what its client was told first, or else
// what is known by now, though the client never learned of it: it happened before
// it was first applied, or never will. So every write has a revision, and every
// history can be decided. It is not ok when the request had no effect, and when no
// history knows of its kind.
func (r *request) outcome(w *world) (o history.Operation, ok bool) {
	first := r.attempts[0]
	o = first.record
	applied := first
	for _, op := range r.attempts {
		told := op.ended && op.record.Outcome != history.Unknown && op.record.Outcome != history.Rejected
		if told && op.record.Outcome == misused || r.Kind == kindSettings {
			return o, false
		}
		if told && (!ok || op.record.End < o.End) {
			o, ok = op.record, true
		}
		if op.appliedAt != 0 && (applied.appliedAt == 0 || op.appliedAt < applied.appliedAt) {
			applied = op
		}
	}
	o.Start = first.record.Start
	if ok || applied.appliedAt == 0 {
		return o, ok
	}
	applied.describe(&o, applied.result)
	o.End = max(o.Start, applied.appliedTime)
	if o.Outcome == history.Done {
		w.count(WritesUnknownApplied)
	}
	return o, o.Outcome == history.Done
}

// judgeHistory lets the checker of histories look at what clients saw.
func (w *world) judgeHistory() {
	var all history.History
	for _, c := range w.clients {
		for _, op := range c.done {
			if op != op.request.attempts[0] {
				continue
			}
			if o, ok := op.request.outcome(w); ok {
				all.Operations = append(all.Operations, o)
			}
		}
	}
	if err := all.Check(); err != nil {
		w.fail("the history is not linearizable: %v", err)
	}
}
