package raft

import (
	"math/rand/v2"
	"testing"
)

// The first change is in the log and not committed when the second is asked for.
func TestASecondChangeWaitsForTheFirst(t *testing.T) {
	first := NewMembership(Member{1, "a", "a:1"})
	disk := []Entry{{Index: 1, Kind: EntryMembership, Membership: &first}}
	r, err := New(
		Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 2)), Log: sliceReader{&disk}},
		State{Last: 1, Terms: []TermRun{{}}, Memberships: []MembershipAt{{Index: 1, Membership: first}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		r.Tick()
		if err := obey(r, &disk); err != nil {
			t.Fatal(err)
		}
	}
	add := func(id MemberID) Reason {
		t.Helper()
		r.ChangeMembership(RequestID{1, uint64(id)}, Change{Kind: AddLearner, Member: Member{id, id.String(), "x:1"}})
		ready, err := r.Ready(false)
		if err != nil || len(ready.Results) != 1 {
			t.Fatalf("%d answers, %v", len(ready.Results), err)
		}
		return ready.Results[0].Reason
	}
	if reason := add(2); reason != ReasonNone {
		t.Fatalf("the first change is refused: %s", reason)
	}
	if reason := add(3); reason != ReasonChangePending {
		t.Errorf("the second change is answered with %q while the first is under way", reason)
	}
	if err := obey(r, &disk); err != nil {
		t.Fatal(err)
	}
	if reason := add(3); reason != ReasonNone {
		t.Errorf("the second change is refused when the first is committed: %s", reason)
	}
}

// A leader that appended its own removal may be the only one with the whole log
// (thesis, section 4.2.2), until the removal is known to be committed.
func TestARemovedMemberStandsUntilItsRemovalIsCommitted(t *testing.T) {
	all := NewMembership(Member{1, "a", "a:1"}, Member{2, "b", "b:1"}, Member{3, "c", "c:1"})
	rest := NewMembership(Member{2, "b", "b:1"}, Member{3, "c", "c:1"})
	disk := []Entry{
		{Index: 1, Kind: EntryMembership, Membership: &all}, {Index: 2, Term: 1, Kind: EntryNoOp},
		{Index: 3, Term: 1, Kind: EntryMembership, Membership: &rest},
	}
	for committed, want := range map[Index]Role{2: PreCandidate, 3: Follower} {
		r, err := New(Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 2)), Log: sliceReader{&disk}}, State{
			HardState: HardState{Term: 1, Commit: committed}, Last: 3, Terms: []TermRun{{}, {Term: 1, First: 2}},
			Memberships: []MembershipAt{{Index: 1, Membership: all}, {Index: 3, Membership: rest}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 31 {
			r.Tick()
		}
		if got := r.Status().Role; got != want {
			t.Errorf("with entries up to %d committed it is %s, want %s", committed, got, want)
		}
	}
}
