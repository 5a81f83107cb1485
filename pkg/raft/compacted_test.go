package raft

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// cutReader is a log on a disk that a snapshot may have cut.
type cutReader struct {
	sliceReader
	base Index
}

func (c *cutReader) Entries(lo, hi Index, maxBytes int) ([]Entry, error) {
	if lo <= c.base {
		return nil, fmt.Errorf("entry %d: %w", lo, ErrCompacted)
	}
	return c.sliceReader.Entries(lo, hi, maxBytes)
}

// TestLeaderWaitsForTheWordOfASnapshotThatHasCutItsLog has a leader look for
// entries that the storage has just cut off, before it is told of the snapshot.
func TestLeaderWaitsForTheWordOfASnapshotThatHasCutItsLog(t *testing.T) {
	membership := Membership{
		Members: []Member{{ID: 1, Name: "a", Address: "a:1"}, {ID: 2, Name: "b", Address: "b:1"}},
		Voters:  []MemberID{1}, Learners: []MemberID{2},
	}
	disk := []Entry{{Index: 1, Kind: EntryMembership, Membership: &membership}}
	for i := Index(2); i <= 20; i++ {
		disk = append(disk, Entry{Index: i, Term: 1, Kind: EntryCommand, Data: []byte("x")})
	}
	reader := &cutReader{sliceReader: sliceReader{&disk}}
	r, err := New(Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 1)), Log: reader}, State{
		HardState: HardState{Term: 1, Commit: 20}, Last: 20, Terms: []TermRun{{}, {Term: 1, First: 2}},
		Memberships: []MembershipAt{{Index: 1, Membership: membership}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var sent []Message // to the learner, since the last reply
	advance := func() {
		t.Helper()
		for r.HasReady(true) {
			ready, err := r.Ready(true)
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, ready.Messages...)
			if ready.Write != nil {
				r.Saved(ready.Write.ID)
			}
			if n := len(ready.Committed); n > 0 {
				r.Applied(ready.Committed[n-1].Index)
			}
		}
	}
	for r.Status().Role != Leader {
		r.Tick()
		advance()
	}
	session := sent[len(sent)-1].Session
	lacks := func() { // The learner has the first five entries and nothing else.
		t.Helper()
		sent = nil
		r.Step(Message{
			Kind: KindAppendEntriesReply, From: 2, To: 1, Term: r.Status().Term, Session: session, Boot: 9,
			Reject: true, RejectedIndex: 20, LogIndex: 5, LogTerm: 1,
		})
		advance()
	}
	reader.base = 10
	lacks()
	for _, m := range sent {
		if m.Kind == KindInstallSnapshot || m.Kind == KindAppendEntries && len(m.Entries) > 0 {
			t.Fatalf("before the leader knows of the snapshot it sent %+v", m)
		}
	}
	r.SnapshotSaved(SnapshotMeta{Index: 20, Term: 1, Membership: membership, MembershipIndex: 1}, 10)
	sent = nil
	r.Step(Message{Kind: KindHeartbeatReply, From: 2, To: 1, Term: r.Status().Term, Session: session, Boot: 9, LogIndex: 5})
	advance()
	for _, m := range sent {
		if m.Kind == KindInstallSnapshot && m.Snapshot.Index == 20 {
			return
		}
	}
	t.Fatalf("once it knows of the snapshot the leader sends %+v", sent)
}
