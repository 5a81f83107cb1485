package raft

import (
	"math/rand/v2"
	"testing"
)

// newFollower returns member 1 of three, with the first configuration on its disk.
func newFollower(t *testing.T) *Raft {
	t.Helper()
	first := NewMembership(Member{1, "a", "a:1"}, Member{2, "b", "b:1"}, Member{3, "c", "c:1"})
	disk := []Entry{{Index: 1, Kind: EntryMembership, Membership: &first}}
	r, err := New(
		Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 2)), Log: sliceReader{&disk}},
		State{Last: 1, Terms: []TermRun{{}}, Memberships: []MembershipAt{{Index: 1, Membership: first}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// appendFrom is an AppendEntries of entries of one term from index 2 on.
func appendFrom(leader MemberID, term Term, count int) Message {
	m := Message{Kind: KindAppendEntries, From: leader, To: 1, Term: term, LogIndex: 1, Session: 1}
	for i := range count {
		m.Entries = append(m.Entries, Entry{Index: Index(2 + i), Term: term, Kind: EntryNoOp})
	}
	return m
}

// acknowledged returns the highest index that a Write's messages vouch for, to each
// of the leaders, and how many messages there are.
func acknowledged(w *Write) (indexes map[MemberID]Index, count int) {
	indexes = map[MemberID]Index{}
	for _, m := range w.Messages {
		if m.vouchesFor() > 0 {
			indexes[m.To] = max(indexes[m.To], m.LogIndex)
			count++
		}
	}
	return indexes, count
}

// While the disk is busy a second leader replaces what the first one sent.
func TestWhatATruncationRemovedIsNotAcknowledged(t *testing.T) {
	r := newFollower(t)
	r.Step(appendFrom(2, 1, 3))
	r.Step(appendFrom(3, 2, 1))
	ready, err := r.Ready(true)
	if err != nil {
		t.Fatal(err)
	}
	if indexes, _ := acknowledged(ready.Write); len(indexes) != 1 || indexes[3] != 2 {
		t.Errorf("acknowledged, by leader: %v; only entry 2 of leader 3 is there", indexes)
	}
}

// While the disk is busy a leader replaces the log by a snapshot.
func TestWhatASnapshotReplacedIsNotAcknowledged(t *testing.T) {
	r := newFollower(t)
	r.Step(appendFrom(2, 1, 3))
	r.Step(Message{Kind: KindInstallSnapshot, From: 3, To: 1, Term: 3, Session: 1, Snapshot: &SnapshotMeta{
		Index: 3, Term: 2, Membership: *r.membership(), MembershipIndex: 1,
	}})
	ready, err := r.Ready(true)
	if err != nil {
		t.Fatal(err)
	}
	if indexes, _ := acknowledged(ready.Write); len(indexes) != 1 || indexes[3] != 3 {
		t.Errorf("acknowledged, by leader: %v; only the snapshot of leader 3 is there", indexes)
	}
}

// A disk that hangs must not fill the memory with what would be said once it goes on.
func TestAHungDiskGathersOneAcknowledgementForEachLeader(t *testing.T) {
	r := newFollower(t)
	for range 10_000 {
		r.Step(appendFrom(2, 1, 3))
	}
	ready, err := r.Ready(true)
	if err != nil {
		t.Fatal(err)
	}
	if indexes, count := acknowledged(ready.Write); count != 1 || indexes[2] != 4 {
		t.Errorf("%d acknowledgements, by leader: %v; one of 4 says it all", count, indexes)
	}
	for range 10_000 {
		r.Step(Message{Kind: KindRequestVote, From: 3, To: 1, Term: 1})
	}
	ready, err = r.Ready(true)
	if err != nil || ready.Write == nil {
		t.Fatalf("%v, and a Write: %t", err, ready.Write != nil)
	}
	if n := len(ready.Write.Messages); n > maxMessagesAfter {
		t.Errorf("%d answers wait for the disk, at most %d may", n, maxMessagesAfter)
	}
}

// A Write of the old log ends after a snapshot has replaced that log in memory.
func TestALateReportOfAReplacedLogDoesNotCountForTheSnapshot(t *testing.T) {
	r := newFollower(t)
	r.Step(appendFrom(2, 1, 3))
	old, err := r.Ready(true)
	if err != nil {
		t.Fatal(err)
	}
	r.Step(Message{Kind: KindInstallSnapshot, From: 3, To: 1, Term: 3, Session: 1, Snapshot: &SnapshotMeta{
		Index: 3, Term: 2, Membership: *r.membership(), MembershipIndex: 1,
	}})
	r.Saved(old.Write.ID)
	if r.Durable() != 0 {
		t.Errorf("durable up to %d, though the snapshot is in no Write yet", r.Durable())
	}
	ready, err := r.Ready(true)
	if err != nil {
		t.Fatal(err)
	}
	r.Saved(ready.Write.ID)
	if r.Durable() != 3 {
		t.Errorf("durable up to %d with the snapshot at 3", r.Durable())
	}
}
