package sim

import (
	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/test/e2e/history"
)

func (o *oracle) application(i raft.Index) *application {
	for int(i) >= len(o.applications) {
		o.applications = append(o.applications, application{})
	}
	return &o.applications[i]
}

// applied judges what applying an entry did.
func (o *oracle) applied(n *node, e *raft.Entry, result config.Result) {
	a := o.application(e.Index)
	if a.known && !sameResult(a.result, result) {
		o.w.fail("State Machine Safety: %v applies entry %s with %s, another had %s", n, at(e.Index, e.Term), resultText(result), resultText(a.result))
	}
	a.known, a.result = true, result
	if len(e.Data) == 0 {
		return
	}
	op := o.commands[&e.Data[0]]
	a.operation = op
	o.named(op, e)
	switch {
	case op == nil:
		o.w.fail("%v applies entry %s, which no client sent", n, at(e.Index, e.Term))
	case op.appliedAt != 0 && op.appliedAt != e.Index:
		o.repeated(op, e, result)
	case op.ended && op.record.Outcome == history.Rejected:
		o.w.fail("client %d was told %q, and yet its command is applied at %d", op.client.number, op.record.Error, e.Index)
	}
	if op.appliedAt == 0 {
		if want := o.model.apply(op.request); !sameResult(want, result) {
			o.w.fail("client %d asked: %v; %v applies it at %d with %s, and the model with %s",
				op.client.number, op.request, n, e.Index, resultText(result), resultText(want))
		}
		op.appliedAt, op.appliedTime, op.result = e.Index, o.w.now, result
	}
}

// life names one start of a member.
type life struct {
	member raft.MemberID
	boot   uint64
}

// start is one life of a member as far as it proposed something.
type start struct {
	// operations holds the proposals by their sequence, nil where none was seen.
	operations []*operation
	// answered is the sequence up to which the entries seen call all answered.
	answered uint64
}

// named judges an entry's origin: it names one command, and calls nothing answered
// that somebody waits for.
func (o *oracle) named(op *operation, e *raft.Entry) {
	if op == nil || e.Origin == (raft.Origin{}) {
		return
	}
	name := life{e.Origin.Member, e.Origin.Boot}
	s := o.starts[name]
	if s == nil {
		s = &start{}
		o.starts[name] = s
	}
	for uint64(len(s.operations)) <= e.Origin.Sequence {
		s.operations = append(s.operations, nil)
	}
	if other := s.operations[e.Origin.Sequence]; other != nil && other != op {
		o.w.fail("commands of clients %d and %d are both named %+v", other.client.number, op.client.number, e.Origin)
	}
	s.operations[e.Origin.Sequence] = op
	for ; s.answered < e.Origin.Answered; s.answered++ {
		if next := s.answered + 1; next < uint64(len(s.operations)) && s.operations[next] != nil && !s.operations[next].ended {
			o.w.fail("entry %s calls %d answered, for which client %d waits", at(e.Index, e.Term), next, s.operations[next].client.number)
		}
	}
}

// repeated judges another copy of a command in the log: it must do nothing, and
// return what the first did as long as that is kept.
func (o *oracle) repeated(op *operation, e *raft.Entry, result config.Result) {
	o.w.count(CopiesApplied)
	if e.Origin == (raft.Origin{}) || !sameResult(result, op.result) && result.Outcome != config.OutcomeForgotten {
		o.w.fail("a command of client %d is carried out twice, at %d with %s and at %d with %s",
			op.client.number, op.appliedAt, resultText(op.result), e.Index, resultText(result))
	}
}

// published compares the state with that of others at the same index.
func (o *oracle) published(n *node) {
	view := n.machine.View()
	if n.tampered {
		o.w.trace.note(traceApplied, n, view.Index, uint64(view.Hash[0])|uint64(view.Hash[1])<<8, view.Revision)
		return
	}
	a := o.application(raft.Index(view.Index))
	if a.hasHash && a.hash != view.Hash {
		o.w.fail("State Machine Safety: %v holds another state at index %d than was seen before", n, view.Index)
	}
	a.hash, a.hasHash = view.Hash, true
	n.deliver()
	o.w.trace.note(traceApplied, n, view.Index, uint64(view.Hash[0])|uint64(view.Hash[1])<<8, view.Revision)
}

// restored judges a state that came from a snapshot.
func (o *oracle) restored(n *node, index raft.Index) {
	if view := n.machine.View(); view.Index != uint64(index) {
		o.w.fail("%v restores a snapshot at %d and holds the state at %d", n, index, view.Index)
	}
	o.published(n)
}
