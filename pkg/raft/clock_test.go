package raft

import (
	"math/rand/v2"
	"testing"
)

// lonely returns a voter without others, which leads after its election timeout.
func lonely(t *testing.T) *Raft {
	t.Helper()
	membership := Membership{Members: []Member{{ID: 1, Name: "a", Address: "a:1"}}, Voters: []MemberID{1}}
	disk := []Entry{{Index: 1, Kind: EntryMembership, Membership: &membership}}
	r, err := New(Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 1)), Log: sliceReader{&disk}}, State{
		Last: 1, Terms: []TermRun{{}}, Memberships: []MembershipAt{{Index: 1, Membership: membership}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drain makes everything durable and applied, and returns the entries that were
// committed on the way.
func drain(t *testing.T, r *Raft) (committed []Entry) {
	t.Helper()
	for r.HasReady(true) {
		ready, err := r.Ready(true)
		if err != nil {
			t.Fatal(err)
		}
		if ready.Write != nil {
			r.Saved(ready.Write.ID)
		}
		if n := len(ready.Committed); n > 0 {
			committed = append(committed, ready.Committed...)
			r.Applied(ready.Committed[n-1].Index)
		}
	}
	return committed
}

func TestLeaderStampsItsEntriesWithTheTimeThatItWasTold(t *testing.T) {
	r := lonely(t)
	r.SetTime(1_000, 70_000)
	for r.Status().Role != Leader {
		r.Tick()
		drain(t, r)
	}
	origin := Origin{Member: 1, Boot: 2, Sequence: 3, Answered: 2}
	propose := func(wallMillis, monotonicMillis uint64) {
		r.SetTime(wallMillis, monotonicMillis)
		r.Propose(Proposal{Data: []byte("x"), Origin: origin})
	}
	propose(2_000, 70_030)
	// Neither a wall clock that jumps nor a monotonic one that goes back makes
	// time pass.
	propose(500, 70_030)
	propose(1, 60_000)
	propose(9_000, 70_035)
	entries := drain(t, r)
	for i, want := range [][2]uint64{{2_000, 30}, {500, 0}, {1, 0}, {9_000, 5}} {
		e := entries[i]
		if got := [2]uint64{e.TimeMillis, e.ElapsedMillis}; got != want || e.Origin != origin {
			t.Errorf("command %d has time and elapsed %v and origin %+v, want %v and %+v", i, got, e.Origin, want, origin)
		}
	}
}

func TestLeadersFirstEntryHasNoElapsedTime(t *testing.T) {
	r := lonely(t)
	r.SetTime(1_000, 70_000)
	var first []Entry
	for len(first) == 0 || first[len(first)-1].Kind != EntryNoOp {
		r.Tick()
		first = append(first, drain(t, r)...)
	}
	if e := first[len(first)-1]; e.TimeMillis != 1_000 || e.ElapsedMillis != 0 || e.Origin != (Origin{}) {
		t.Errorf("the no-op is %+v, want time 1000, nothing elapsed and no origin", e)
	}
}
