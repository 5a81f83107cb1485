package raft

import (
	"math/rand/v2"
	"testing"
)

// says is what a member says of its state at an index.
type says struct {
	member MemberID
	index  Index
	sum    byte
}

// TestWhoParks tells members' hashes to member 1 of one configuration, its own among
// them, and looks at what it makes of them.
func TestWhoParks(t *testing.T) {
	three := Membership{Voters: []MemberID{1, 2, 3}}
	learner := Membership{Voters: []MemberID{2, 3, 4}, Learners: []MemberID{1}}
	joint := Membership{Voters: []MemberID{1, 4, 5}, Outgoing: []MemberID{1, 2, 3}}
	for _, test := range []struct {
		name  string
		among Membership
		said  []says
		cause ParkCause
		alarm Index
	}{
		{"alone with its hash", three, []says{{2, 8, 1}, {3, 8, 1}, {1, 8, 9}}, ParkDiffers, 8},
		{"the others' hashes come later", three, []says{{1, 8, 9}, {2, 8, 1}, {3, 8, 1}}, ParkDiffers, 8},
		{"another is alone", three, []says{{1, 8, 1}, {2, 8, 9}, {3, 8, 1}}, ParkNone, 8},
		{"all agree", three, []says{{1, 8, 1}, {2, 8, 1}, {3, 8, 1}}, ParkNone, 0},
		{"only one of the others has spoken", three, []says{{1, 8, 9}, {2, 8, 1}}, ParkNone, 8},
		{"three hashes", three, []says{{1, 8, 9}, {2, 8, 1}, {3, 8, 2}}, ParkNone, 8},
		{"one of the others said it twice", three, []says{{1, 8, 9}, {2, 8, 1}, {2, 8, 1}}, ParkNone, 8},
		{"the others speak of another index", three, []says{{1, 8, 9}, {2, 16, 1}, {3, 16, 1}}, ParkNone, 0},
		{"it comes to an index of which the others spoke", three,
			[]says{{2, 8, 1}, {3, 8, 1}, {2, 16, 1}, {3, 16, 1}, {1, 8, 1}, {1, 16, 9}}, ParkDiffers, 16},
		{"all agree at a later index", three,
			[]says{{1, 8, 1}, {2, 8, 9}, {3, 8, 1}, {1, 16, 1}, {2, 16, 1}, {3, 16, 1}}, ParkNone, 0},
		{"strangers are not heard", three, []says{{1, 8, 9}, {2, 8, 1}, {6, 8, 1}, {7, 8, 1}}, ParkNone, 8},
		{"a learner compares", learner, []says{{1, 8, 9}, {2, 8, 1}, {3, 8, 1}}, ParkDiffers, 8},
		{"a learner doesn't count", Membership{Voters: []MemberID{1, 2, 3}, Learners: []MemberID{4}},
			[]says{{1, 8, 9}, {2, 8, 1}, {4, 8, 1}}, ParkNone, 8},
		{"of two nobody is right", Membership{Voters: []MemberID{1, 2}}, []says{{1, 8, 9}, {2, 8, 1}}, ParkNone, 8},
		{"a lone voter has nobody to compare with", Membership{Voters: []MemberID{1}}, []says{{1, 8, 9}}, ParkNone, 0},
		{"a lone voter is right", Membership{Voters: []MemberID{2}, Learners: []MemberID{1}},
			[]says{{1, 8, 9}, {2, 8, 1}}, ParkDiffers, 8},
		{"one half of a joint configuration is not enough", joint, []says{{1, 8, 9}, {4, 8, 1}, {5, 8, 1}}, ParkNone, 8},
		{"both halves are", joint, []says{{1, 8, 9}, {4, 8, 1}, {5, 8, 1}, {2, 8, 1}, {3, 8, 1}}, ParkDiffers, 8},
		{"the halves disagree with each other", joint, []says{{1, 8, 9}, {4, 8, 1}, {5, 8, 1}, {2, 8, 2}, {3, 8, 2}}, ParkNone, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := memberOne(t, test.among)
			for _, s := range test.said {
				tell(r, s)
			}
			if got := r.Status(); got.Parked != test.cause || got.Disagreement != test.alarm {
				t.Errorf("parked for %q, states differ at %d; want %q and %d", got.Parked, got.Disagreement, test.cause, test.alarm)
			}
		})
	}
}

// memberOne returns member 1 of a configuration.
func memberOne(t *testing.T, m Membership) *Raft {
	t.Helper()
	for id := MemberID(1); id <= 5; id++ {
		member := Member{ID: id, Name: id.String(), Address: id.String()}
		if m.Members = append(m.Members, member); !m.IsVoter(id) && !(len(m.Learners) > 0 && m.Learners[0] == id) {
			m.Members = m.Members[:len(m.Members)-1]
		}
	}
	disk := []Entry{{Index: 1, Kind: EntryMembership, Membership: &m}}
	r, err := New(Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 2)), Log: sliceReader{&disk}},
		State{Last: 1, Terms: []TermRun{{}}, Memberships: []MembershipAt{{Index: 1, Membership: m}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tell lets a member, r itself included, say something of its state.
func tell(r *Raft, s says) {
	hash := StateHash{Index: s.index, Sum: [32]byte{s.sum}}
	if s.member == r.id {
		r.StateHashed(hash)
		return
	}
	r.Step(Message{Kind: KindStateHash, From: s.member, To: r.id, State: hash})
}

// TestALaggingMemberComparesWithTheLastSixteen tells a member of many indexes that it
// has yet to reach: it keeps the last ones, and compares where it has those.
func TestALaggingMemberComparesWithTheLastSixteen(t *testing.T) {
	r := memberOne(t, Membership{Voters: []MemberID{1, 2, 3}})
	const told = 40
	for i := range Index(told) {
		tell(r, says{2, 8 * (i + 1), 1})
		tell(r, says{3, 8 * (i + 1), 1})
	}
	for _, o := range r.agreement.others {
		if len(o.hashes) != hashesKept {
			t.Fatalf("%d hashes of %s are kept", len(o.hashes), o.member)
		}
	}
	for i := range Index(told - hashesKept) {
		tell(r, says{1, 8 * (i + 1), 9})
	}
	if got := r.Parked(); got != ParkNone {
		t.Fatalf("parked for %q where nothing is known", got)
	}
	tell(r, says{1, 8 * (told - hashesKept + 1), 9})
	if got := r.Parked(); got != ParkDiffers {
		t.Fatalf("parked for %q", got)
	}
}

// TestTheNewestHashIsToldAgain lets time pass after a hash: it is told to each other
// member once at first and then again, and no more once the member is parked.
func TestTheNewestHashIsToldAgain(t *testing.T) {
	r := memberOne(t, Membership{Voters: []MemberID{2, 3, 4}, Learners: []MemberID{1}})
	told := func(ticks int) (n int) {
		for range ticks {
			r.Tick()
		}
		ready, err := r.Ready(true)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ready.Messages {
			if m.Kind == KindStateHash {
				n++
			}
		}
		return n
	}
	tell(r, says{1, 8, 9})
	again := hashRepeatTimeouts * r.config.ElectionTicksMax
	for _, want := range []struct{ ticks, messages int }{{0, 3}, {again - 1, 0}, {1, 3}, {3 * again, 9}} {
		if n := told(want.ticks); n != want.messages {
			t.Fatalf("after %d ticks more it was told %d times, want %d", want.ticks, n, want.messages)
		}
	}
	tell(r, says{2, 8, 1})
	tell(r, says{3, 8, 1})
	if n := told(3 * again); n != 0 {
		t.Fatalf("a parked member has told its hash %d times", n)
	}
}

// TestVotersArentRemovedUntilOnlyParkedOnesAreLeft asks a leader of three, of whom one is
// parked, to remove the other one: then the two that are left could agree on nothing.
func TestVotersArentRemovedUntilOnlyParkedOnesAreLeft(t *testing.T) {
	r := memberOne(t, Membership{Voters: []MemberID{1, 2, 3}})
	for _, step := range []Message{
		{Kind: KindPreVoteReply, Term: 1}, {Kind: KindRequestVoteReply, Term: 1},
	} {
		for r.role == Follower {
			r.Tick()
		}
		settleReady(t, r)
		step.From, step.To = 2, 1
		r.Step(step)
		settleReady(t, r)
	}
	answer := func(from MemberID, parked bool) {
		p := r.follower(from)
		r.Step(Message{Kind: KindAppendEntriesReply, From: from, To: 1, Term: 1, Session: p.session, Boot: 1, LogIndex: r.log.last})
		r.Step(Message{Kind: KindHeartbeatReply, From: from, To: 1, Term: 1, Session: p.session, Boot: 1, Parked: parked})
	}
	answer(2, false)
	answer(3, true)
	remove := func(id MemberID) Reason {
		r.ChangeMembership(RequestID{1, uint64(id)}, Change{Kind: Remove, Member: Member{ID: id}})
		return r.out.results[len(r.out.results)-1].Reason
	}
	if got := remove(2); got != ReasonParked {
		t.Errorf("the removal of the sound voter is answered with %q", got)
	}
	if got := remove(3); got != ReasonNone {
		t.Errorf("the removal of the parked voter is answered with %q", got)
	}
}

// TestAMemberThatParksTwiceServesNothingOlderThanBefore heals a member that had applied
// 20 entries by a snapshot, finds its state wrong again before it has applied them anew,
// and heals it again.
func TestAMemberThatParksTwiceServesNothingOlderThanBefore(t *testing.T) {
	members := Membership{Voters: []MemberID{1, 2, 3}}
	r := memberOne(t, members)
	r.config.MaxApplyBytes = 1 // one entry at a time
	var entries []Entry
	for i := Index(2); i <= 20; i++ {
		entries = append(entries, Entry{Index: i, Term: 1, Kind: EntryCommand})
	}
	r.Step(Message{Kind: KindAppendEntries, From: 2, To: 1, Term: 1, LogIndex: 1, Entries: entries, Commit: 20})
	settleReady(t, r)
	heal := func(at Index) {
		tell(r, says{2, at, 1})
		tell(r, says{3, at, 1})
		tell(r, says{1, at, 9})
		if got := r.Parked(); got != ParkDiffers {
			t.Fatalf("with another state at %d it is parked for %q", at, got)
		}
		r.Step(Message{Kind: KindInstallSnapshot, From: 2, To: 1, Term: 1, Snapshot: &SnapshotMeta{
			Index: at, Term: 1, Membership: *r.membership(), MembershipIndex: 1}})
		ready, err := r.Ready(true)
		if err != nil || ready.Write == nil || ready.Write.Snapshot == nil {
			t.Fatalf("a snapshot at %d leads to %+v, %v", at, ready.Write, err)
		}
		r.Saved(ready.Write.ID)
		r.Applied(at)
	}
	heal(8)
	heal(8 + maxApplyBatches)
	for r.Parked() != ParkNone && r.HasReady(true) {
		ready, err := r.Ready(true)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(ready.Committed); n > 0 {
			r.Applied(ready.Committed[n-1].Index)
		}
	}
	if r.log.applied != 20 || r.Parked() != ParkNone {
		t.Errorf("it has applied up to %d and is parked for %q, want 20 and %q", r.log.applied, r.Parked(), ParkNone)
	}
}

// settleReady does what a member wants done, and loses its messages.
func settleReady(t *testing.T, r *Raft) {
	t.Helper()
	var disk []Entry
	if err := obey(r, &disk); err != nil {
		t.Fatal(err)
	}
}
