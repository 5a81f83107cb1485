package raft

import (
	"math/rand/v2"
	"testing"
)

// TestLeaderWithASlowDiskBoundsItsMemory has both followers acknowledge at once what
// the leader's own disk takes long for: all is committed without it.
func TestLeaderWithASlowDiskBoundsItsMemory(t *testing.T) {
	r := leaderOf3(t)
	taken, refused := 0, 0
	for i := range uint64(300) {
		r.Propose(Proposal{ID: RequestID{Boot: 1, Sequence: i + 1}, Data: make([]byte, mib)})
		for r.HasReady(i == 0) {
			ready, err := r.Ready(i == 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range ready.Results {
				switch result.Reason {
				case ReasonNone:
					taken++
				case ReasonOverloaded:
					refused++
				default:
					t.Fatalf("proposal %d: %s", i, result.Reason)
				}
			}
			if n := len(ready.Committed); n > 0 {
				r.Applied(ready.Committed[n-1].Index)
			}
			for j := range ready.Messages {
				agree(r, &ready.Messages[j])
			}
		}
	}
	if most := (r.config.MaxUncommittedBytes + 2*r.config.CacheBytes) / mib; taken > most || taken+refused != 300 {
		t.Errorf("of 300 commands of 1 MiB %d were taken, of which the disk has none, and %d refused; want at most %d", taken, refused, most)
	}
	r.Saved(r.out.writeID)
	for r.log.durable < r.log.last {
		ready, err := r.Ready(true)
		if err != nil {
			t.Fatal(err)
		}
		r.Saved(ready.Write.ID)
		for j := range ready.Messages {
			agree(r, &ready.Messages[j])
		}
	}
	r.Propose(Proposal{ID: RequestID{Boot: 1, Sequence: 1000}, Data: make([]byte, mib)})
	ready, err := r.Ready(true)
	if err != nil || len(ready.Results) != 1 || ready.Results[0].Reason != ReasonNone {
		t.Errorf("once the disk has all of it, a proposal comes to %+v, %v; want it to be taken", ready.Results, err)
	}
}

// TestSlowStateMachineBoundsTheMemory has a follower hear of commits that its state
// machine is slow to apply.
func TestSlowStateMachineBoundsTheMemory(t *testing.T) {
	first := NewMembership(Member{1, "a", "a:1"}, Member{2, "b", "b:1"}, Member{3, "c", "c:1"})
	disk := []Entry{{Index: 1, Kind: EntryMembership, Membership: &first}}
	r, err := New(
		Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 2)), Log: sliceReader{&disk}, CacheBytes: 10_000},
		State{Last: 1, Terms: []TermRun{{}}, Memberships: []MembershipAt{{Index: 1, Membership: first}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	handed, most := Index(0), 0
	work := func() {
		t.Helper()
		for r.HasReady(true) {
			ready, err := r.Ready(true)
			if err != nil {
				t.Fatal(err)
			}
			if w := ready.Write; w != nil {
				disk = append(disk, w.Entries...)
				r.Saved(w.ID)
			}
			for i := range ready.Committed {
				if e := &ready.Committed[i]; e.Index != handed+1 || e.Index > 1 && len(e.Data) != 1000 {
					t.Fatalf("entry %d with %d bytes is handed out after %d", e.Index, len(e.Data), handed)
				}
				handed++
			}
		}
		most = max(most, r.log.tailBytes)
	}
	for i := Index(2); i <= 500; i++ {
		r.Step(Message{
			Kind: KindAppendEntries, From: 2, To: 1, Term: 1, Session: 1, LogIndex: i - 1, LogTerm: min(Term(i-2), 1), Commit: i,
			Entries: []Entry{{Index: i, Term: 1, Kind: EntryCommand, Data: make([]byte, 1000)}},
		})
		work()
	}
	if most > 2*r.config.CacheBytes {
		t.Errorf("while nothing is applied %d bytes of the log are in memory, want at most %d", most, 2*r.config.CacheBytes)
	}
	for handed < 500 {
		r.Applied(r.log.applying)
		work()
	}
}
