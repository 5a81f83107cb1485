package controller

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/conclave-dev/conclave/api/v1"
	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/internal/controller/resources"
)

// limits bound what the model may do beside the operator.
type limits struct {
	sizes  []uint8
	losses uint8
	// down lets one member at a time be away, and silent lets that last.
	down, silent bool
}

// steps are the states that the operator's next step may lead to: it is carried
// out, it is lost (which is the state itself), or it arrives later.
func (m model) steps(step Step) []model {
	switch step := step.(type) {
	case nil:
		return nil
	case WriteOperation:
		return []model{m.write(step.Operation)}
	case ChangeMembership:
		late := m
		late.late = change{step.Kind, ordinalOf(step.Member.MemberID), volumes[step.Member.MemberID]}
		return []model{m.change(late.late), late.canonical()}
	case StampClaims:
		for _, name := range step.Names {
			ordinal, _ := resources.ClaimOrdinal("cfg", name)
			m.places[ordinal].stamped = true
		}
	case TransferLeadership:
		m.leader = ordinalOf(step.Successor) + 1
	case Resize:
		m.recorded, m.seen = uint8(step.Pods), false
	case DeleteClaim:
		ordinal, _ := resources.ClaimOrdinal("cfg", step.Name)
		if at := &m.places[ordinal]; at.pod {
			at.going = true
		} else {
			at.claim = 0
		}
	case DeletePod:
		ordinal, _ := resources.PodOrdinal("cfg", step.Name)
		m = m.stopPod(int(ordinal))
	default:
		panic(fmt.Sprintf("a step of type %T", step))
	}
	return []model{m.canonical()}
}

func ordinalOf(memberID string) uint8 {
	for i := range names.ids {
		if names.ids[i][volumes[memberID]] == memberID {
			return uint8(i)
		}
	}
	panic("no such member: " + memberID)
}

func (m model) write(op *v1.Operation) model {
	m.journal = journal{}
	if op != nil {
		ordinal, _ := resources.PodOrdinal("cfg", op.Target)
		m.journal = journal{kind: op.Type, step: op.Step, ordinal: uint8(ordinal), member: volumes[op.TargetMemberID], claim: volumes[op.PVCUID]}
		switch op.PodUID {
		case "":
		case "another", m.podUID(int(ordinal)):
			m.journal.pod = podThis
		default:
			m.journal.pod = podOther
		}
	}
	return m.canonical()
}

// change carries out a change of the membership, as far as the leader would. Any
// change makes one that is still on its way void: it was meant for another
// membership.
func (m model) change(c change) model {
	at := &m.places[c.ordinal]
	all, healthy := m.voters()
	switch {
	case m.leader == 0 || m.changing:
		return m // refused
	case c.kind == admin.AddLearner && c.member != at.voter && at.learner == 0:
		at.learner = c.member
	case c.kind == admin.Promote && c.member == at.learner && at.voter == 0 && at.pod && at.claim == c.member:
		at.voter, at.learner, m.changing = c.member, 0, true
	case c.kind == admin.Remove && c.member == at.learner:
		at.learner = 0
	case c.kind == admin.Remove && c.member == at.voter && all > 1:
		if m.healthy(int(c.ordinal)) {
			healthy--
		}
		if healthy < resources.Quorum(all-1) {
			return m // would_lose_quorum
		}
		at.voter, m.changing = 0, true
	default:
		return m
	}
	m.late = change{}
	return m.canonical()
}

func (m model) stopPod(i int) model {
	at := &m.places[i]
	at.pod = false
	if at.going {
		at.claim, at.going = 0, false
	}
	if int(m.down) == i+1 {
		m.down = 0
	}
	return m.forgetPod(i)
}

// forgetPod notes that the pod that the journal means is no more.
func (m model) forgetPod(i int) model {
	if m.journal.kind != "" && int(m.journal.ordinal) == i && m.journal.pod == podThis {
		m.journal.pod = podOther
	}
	return m
}

func (m model) startPod(i int) model {
	at := &m.places[i]
	if at.claim == 0 {
		at.claim, at.was, at.stamped = fresh, false, false
	}
	at.pod = true
	return m
}

// reactions are what the world does by itself: each of them has to happen at last
// where nothing else does. The order is that of a fair world.
func (m model) reactions() []model {
	var after []model
	add := func(next model) { after = append(after, next.canonical()) }
	if m.late.kind != "" {
		dropped := m
		dropped.late = change{}
		add(dropped)
	}
	if m.down != 0 {
		up := m
		up.down = 0
		add(up)
	}
	if m.changing && m.hasQuorum() {
		committed := m
		committed.changing = false
		add(committed)
	}
	if !m.seen {
		seen := m
		seen.seen = true
		add(seen)
	}
	if m.leader == 0 && m.hasQuorum() {
		for i := range m.places {
			if m.healthy(i) {
				elected := m
				elected.leader = uint8(i + 1)
				add(elected)
			}
		}
	}
	for i := range m.places {
		switch pod := m.places[i].pod; {
		case m.seen && pod && i >= int(m.recorded):
			add(m.stopPod(i))
		case m.seen && !pod && i < int(m.recorded):
			add(m.startPod(i))
		}
	}
	return after
}

// surprises are what may happen and need not.
func (m model) surprises(l limits) []model {
	var after []model
	add := func(next model) { after = append(after, next.canonical()) }
	for _, want := range l.sizes {
		if want != m.want {
			other := m
			other.want = want
			add(other)
		}
	}
	if m.late.kind != "" {
		add(m.change(m.late))
	}
	if l.silent && m.down != 0 && !m.silent {
		silent := m
		silent.silent = true
		add(silent)
	}
	all, _ := m.voters()
	for i := range m.places {
		if m.healthy(i) && m.leader != 0 && int(m.leader) != i+1 && m.hasQuorum() {
			leads := m
			leads.leader = uint8(i + 1)
			add(leads)
		}
		if l.down && m.down == 0 && m.places[i].pod {
			down := m
			down.down = uint8(i + 1)
			add(down)
		}
		if m.losses < l.losses && m.places[i].claim != 0 && m.places[i].pod && !m.changing && (all > 2 || m.places[i].voter == 0) {
			lost := m.forgetPod(i)
			at := &lost.places[i]
			at.claim, at.was, at.going, at.stamped = fresh, false, false, false
			lost.losses++
			whole := lost
			whole.down = 0
			if whole.hasQuorum() { // whatever is lost for good is for people to mend
				add(lost)
			}
		}
	}
	return after
}

// wrong says what the operator must never do and does by this step.
func (m model) wrong(step Step) string {
	all, healthy := m.voters()
	switch step := step.(type) {
	case ChangeMembership:
		ordinal, member := ordinalOf(step.Member.MemberID), volumes[step.Member.MemberID]
		at := m.places[ordinal]
		switch {
		case m.changing:
			return "changes the membership while a change of voters isn't committed"
		case step.Kind == admin.AddLearner && at.claim == member && at.was:
			return "adds a member that was removed"
		case step.Kind == admin.AddLearner && at.claim == member && at.going:
			return "adds a member whose volume is being deleted"
		case step.Kind == admin.AddLearner && (at.voter != 0 || at.learner != 0):
			return "adds a second member of a name"
		case step.Kind == admin.Remove && member == at.voter:
			if m.healthy(int(ordinal)) {
				healthy--
			}
			if healthy < resources.Quorum(all-1) {
				return fmt.Sprintf("leaves %d healthy voters of %d", healthy, all-1)
			}
		}
	case Resize:
		for i := int(step.Pods); i < int(m.recorded); i++ {
			if at := m.places[i]; at.voter != 0 || at.learner != 0 {
				return "takes the pod of a member"
			}
		}
	case DeleteClaim:
		ordinal, _ := resources.ClaimOrdinal("cfg", step.Name)
		if at := m.places[ordinal]; at.voter != 0 || at.learner != 0 {
			return "deletes the volume of a member"
		}
	case DeletePod:
		ordinal, _ := resources.PodOrdinal("cfg", step.Name)
		if at := m.places[ordinal]; at.voter != 0 || at.learner != 0 {
			return "deletes the pod of a member"
		}
	}
	return ""
}

// settled tells whether everything is as the spec asks, and nothing is left over
// but a claim that was never a member's, which the next one of that name uses.
func (m model) settled() bool {
	for i := range m.places {
		at, wanted := m.places[i], i < int(m.want)
		if (at.voter != 0) != wanted || at.pod != wanted || at.learner != 0 || wanted && at.claim != at.voter || !wanted && at.claim != 0 && at.stamped {
			return false
		}
	}
	return m.recorded == m.want && m.journal.kind == "" && m.leader != 0
}

// explorer knows all states found so far, each with the one before it.
type explorer struct {
	t      *testing.T
	limits limits
	from   map[model]model
	// steps are the operator's in each state.
	steps map[model]Step
	// ends are the states from which a fair world is known to settle.
	ends map[model]bool
}

func (e *explorer) next(m model) Step {
	step, ok := e.steps[m]
	if !ok {
		step = m.next()
		e.steps[m] = step
	}
	return step
}

// story lists the states up to one.
func (e *explorer) story(m model) string {
	var lines []string
	for range 60 {
		lines = append([]string{fmt.Sprintf("%+v -> %T%+v", m, e.next(m), e.next(m))}, lines...)
		before, ok := e.from[m]
		if !ok || before == m {
			break
		}
		m = before
	}
	return strings.Join(lines, "\n")
}

// explore finds all states, and complains of the first wrong step.
func (e *explorer) explore(first ...model) {
	var queue []model
	reach := func(before, after model) {
		if _, known := e.from[after]; !known {
			e.from[after] = before
			queue = append(queue, after)
		}
	}
	for _, m := range first {
		reach(m, m)
	}
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		step := e.next(m)
		if wrong := m.wrong(step); wrong != "" {
			e.t.Fatalf("the operator %s:\n%s", wrong, e.story(m))
		}
		for _, after := range m.steps(step) {
			reach(m, after)
		}
		for _, after := range m.reactions() {
			reach(m, after)
		}
		for _, after := range m.surprises(e.limits) {
			reach(m, after)
		}
	}
}

// fair is the next state of a world in which all that has to happen happens, and
// the operator's steps are carried out.
func (e *explorer) fair(m model) (model, bool) {
	if after := m.reactions(); len(after) > 0 {
		return after[0], true
	}
	if after := m.steps(e.next(m)); len(after) > 0 {
		return after[0], true
	}
	return m, false
}

// settles follows a fair world from a state to its end.
func (e *explorer) settles(m model) {
	path := map[model]bool{}
	for at := m; !e.ends[at]; {
		if path[at] {
			e.t.Fatalf("the operator goes round in circles:\n%s", e.story(at))
		}
		path[at] = true
		next, more := e.fair(at)
		if !more && !at.settled() {
			e.t.Fatalf("the operator stops before everything is as the spec asks:\n%s\nfrom\n%s", e.story(at), e.story(m))
		}
		if !more {
			break
		}
		if _, known := e.from[next]; !known {
			e.from[next] = at
		}
		at = next
	}
	for at := range path {
		e.ends[at] = true
	}
}

// TestEveryReachableStateSettlesAndNoStepIsWrong is the proof of the planning of
// the membership, within the model's limits.
func TestEveryReachableStateSettlesAndNoStepIsWrong(t *testing.T) {
	all := []limits{{sizes: []uint8{1, 3, 5}}, {sizes: []uint8{1, 3}, losses: 1, down: true}, {sizes: []uint8{1, 3}, down: true, silent: true}}
	if !testing.Short() {
		all = []limits{{sizes: []uint8{1, 3, 5, 7}}, {sizes: []uint8{1, 3, 5}, down: true}, {sizes: []uint8{3, 5}, losses: 1}, {sizes: []uint8{1, 3}, losses: 2, down: true}, {sizes: []uint8{1, 3}, losses: 1, down: true, silent: true}}
	}
	for _, l := range all {
		name := fmt.Sprintf("sizes %d, %d volumes lost, a member away: %v, for long: %v", l.sizes, l.losses, l.down, l.silent)
		t.Run(name, func(t *testing.T) {
			e := &explorer{t: t, limits: l, from: map[model]model{}, steps: map[model]Step{}, ends: map[model]bool{}}
			var first []model
			for _, size := range l.sizes {
				m := model{want: size, recorded: size, leader: 1, seen: true}
				for i := range size {
					m.places[i] = place{claim: 1, stamped: true, pod: true, voter: 1}
				}
				first = append(first, m.canonical())
			}
			e.explore(first...)
			found := make([]model, 0, len(e.from))
			for m := range e.from {
				found = append(found, m)
			}
			for _, m := range found {
				e.settles(m)
			}
			t.Logf("%d states", len(found))
		})
	}
}
