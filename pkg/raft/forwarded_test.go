package raft

import (
	"slices"
	"testing"
)

// forwards sends a leader proposals from member 2 and returns the reason for each
// that was answered, or nothing when no answer came.
func forwards(t *testing.T, r *Raft, term Term, ids ...RequestID) (reasons []Reason) {
	t.Helper()
	m := Message{Kind: KindPropose, From: 2, To: 1, Term: term}
	for _, id := range ids {
		m.Proposals = append(m.Proposals, Proposal{ID: id, Data: []byte("x")})
	}
	r.Step(m)
	ready, err := r.Ready(true)
	if err != nil {
		t.Fatal(err)
	}
	if ready.Write != nil {
		r.Saved(ready.Write.ID)
	}
	for _, m := range ready.Messages {
		for _, result := range m.Results {
			reasons = append(reasons, result.Reason)
		}
	}
	drain(t, r)
	return reasons
}

func TestForwardedProposalsAreAppendedOnceAndInTheirTermOnly(t *testing.T) {
	r := lonely(t)
	for r.Status().Role != Leader {
		r.Tick()
		drain(t, r)
	}
	term := r.Status().Term
	id := func(boot, sequence uint64) RequestID { return RequestID{Boot: boot, Sequence: sequence} }
	for _, step := range []struct {
		what     string
		term     Term
		ids      []RequestID
		appended int
		answered []Reason
	}{
		{"the first", term, []RequestID{id(5, 10), id(5, 11)}, 2, []Reason{ReasonNone, ReasonNone}},
		{"its copy", term, []RequestID{id(5, 10), id(5, 11)}, 0, nil},
		{"one that was overtaken", term, []RequestID{id(5, 9)}, 0, nil},
		{"one for an earlier term", term - 1, []RequestID{id(5, 20)}, 0, []Reason{ReasonNotLeader}},
		{"one for a later term", term + 1, []RequestID{id(5, 20)}, 0, []Reason{ReasonNotLeader}},
		{"the next", term, []RequestID{id(5, 12)}, 1, []Reason{ReasonNone}},
		{"one of an earlier start", term, []RequestID{id(4, 100)}, 0, nil},
		{"one of a later start", term, []RequestID{id(6, 1)}, 1, []Reason{ReasonNone}},
	} {
		before := r.Status().Last
		reasons := forwards(t, r, step.term, step.ids...)
		if appended := int(r.Status().Last - before); appended != step.appended || !slices.Equal(reasons, step.answered) {
			t.Errorf("%s: %d were appended and %v answered, want %d and %v", step.what, appended, reasons, step.appended, step.answered)
		}
	}
}

// TestRefusedProposalIsNotTakenFromACopy refuses a proposal for want of room and
// then hears a copy of it, when there is room.
func TestRefusedProposalIsNotTakenFromACopy(t *testing.T) {
	r := lonely(t)
	for r.Status().Role != Leader {
		r.Tick()
		drain(t, r)
	}
	term := r.Status().Term
	r.SetSpace(SpaceFull)
	if reasons := forwards(t, r, term, RequestID{Boot: 1, Sequence: 1}); !slices.Equal(reasons, []Reason{ReasonDiskFull}) {
		t.Fatalf("on a full disk it is answered with %v", reasons)
	}
	r.SetSpace(SpacePlenty)
	before := r.Status().Last
	if reasons := forwards(t, r, term, RequestID{Boot: 1, Sequence: 1}); reasons != nil || r.Status().Last != before {
		t.Errorf("its copy is answered with %v and appended %d times", reasons, r.Status().Last-before)
	}
}
