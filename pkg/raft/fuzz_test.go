package raft

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// FuzzStepSurvivesAnyMessage feeds a member, sound or faulty, messages made of
// arbitrary numbers, between ticks, proposals, reads and changes of the room on its
// disk, and hashes of its state. Whatever arrives from one sender, it must neither crash nor
// go back in term, commit index or vote, nor write an entry but no-ops to a full disk, nor
// stand while faulty or parked.
//
// Two things are left out, since no members that follow the algorithm do them and
// a member rightly stops when it sees them: a second leader in a term, and a
// leader that contradicts what is committed.
func FuzzStepSurvivesAnyMessage(f *testing.F) {
	f.Add([]byte{1, 5, 1, 0, 1, 0, 2, 7, 1, 1, 1, 1, 3, 3, 2, 9})
	f.Add([]byte{1, 7, 5, 1, 0, 4, 3, 15, 7, 2, 0, 0, 0, 9, 9})
	f.Add([]byte{200, 13, 0, 40, 60, 1, 2, 2, 8, 4, 4, 1, 250, 3, 9, 9, 1, 5, 2, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			return
		}
		first := NewMembership(Member{1, "a", "a:1"}, Member{2, "b", "b:1"}, Member{3, "c", "c:1"})
		disk := []Entry{{Index: 1, Kind: EntryMembership, Membership: &first}}
		in := fuzzInput(script)
		state := State{Last: 1, Terms: []TermRun{{}}, Memberships: []MembershipAt{{Index: 1, Membership: first}}}
		if in.next()%4 == 0 {
			state.Faulty, state.Watermark = true, LogPosition{Index: 5, Term: 2}
			state.HardState = HardState{Term: 2, Vote: 2, Commit: 5}
		}
		r, err := New(Config{ID: 1, Boot: 1, Random: rand.New(rand.NewPCG(1, 2)), Log: sliceReader{&disk}}, state)
		if err != nil {
			t.Fatal(err)
		}
		for len(in) > 0 {
			before := r.Status()
			switch in.next() % 10 {
			case 0:
				r.Tick()
			case 1:
				r.Propose(Proposal{ID: RequestID{1, 1}, Data: []byte("x")})
			case 2:
				r.ReadIndex(RequestID{1, 2})
			case 3:
				r.SetSpace(Space(in.next() % 3))
			case 4:
				r.StateHashed(StateHash{Index: r.log.applied, Sum: [32]byte{in.next() % 2}})
			case 5:
				if in.next()%8 == 0 {
					r.StateStuck()
				}
			default:
				r.Step(in.message(r))
			}
			if err := obey(r, &disk); err != nil {
				t.Fatal(err)
			}
			after := r.Status()
			if after.Faulty && after.Role != Follower {
				t.Fatalf("faulty, and yet %s", after.Role)
			}
			if after.Parked != ParkNone && (after.Role == PreCandidate || after.Role == Candidate) {
				t.Fatalf("parked, and yet %s", after.Role)
			}
			if after.Term < before.Term || after.Committed < before.Committed ||
				after.Term == before.Term && before.Vote != NoMember && after.Vote != before.Vote {
				t.Fatalf("from %+v to %+v", before, after)
			}
		}
	})
}

// obey does what the core wants done, at once.
func obey(r *Raft, disk *[]Entry) error {
	for r.HasReady(true) {
		ready, err := r.Ready(true)
		if err != nil {
			return err
		}
		if w := ready.Write; w != nil {
			if r.Space() == SpaceFull && slices.ContainsFunc(w.Entries, func(e Entry) bool { return e.Kind != EntryNoOp }) {
				return fmt.Errorf("%d entries for a full disk", len(w.Entries))
			}
			if w.TruncateFrom != 0 {
				*disk = (*disk)[:w.TruncateFrom-1]
			}
			if w.Snapshot != nil && !w.KeepLog {
				// Placeholders: what a snapshot covers is never read again.
				*disk = make([]Entry, w.Snapshot.Index)
			}
			*disk = append(*disk, w.Entries...)
			r.Saved(w.ID)
			if w.Snapshot != nil {
				r.Applied(w.Snapshot.Index)
			}
		}
		if n := len(ready.Committed); n > 0 {
			r.Applied(ready.Committed[n-1].Index)
		}
	}
	return nil
}

// fuzzInput is read byte by byte; when it ends it gives zeros.
type fuzzInput []byte

func (f *fuzzInput) next() byte {
	if len(*f) == 0 {
		return 0
	}
	b := (*f)[0]
	*f = (*f)[1:]
	return b
}

// message makes a message from the peer with ID 2, near what the member expects
// often enough to get past the first checks.
func (f *fuzzInput) message(r *Raft) Message {
	near := func(i Index) Index { return max(i+Index(f.next()%8), 4) - 4 }
	m := Message{
		Kind: MessageKind(f.next() % 17), From: 2, To: 1,
		Term:     r.term + Term(f.next()%4) - min(1, r.term),
		LogIndex: near(r.log.last), RejectedIndex: near(r.log.last), Commit: near(r.log.last),
		Round: uint64(f.next() % 4), Reject: f.next()%4 == 0, Reason: Reason(f.next() % 25), Transfer: f.next()%8 == 0,
		Session: uint64(f.next() % 4), Boot: uint64(f.next() % 3),
	}
	if f.next()%4 == 0 {
		m.State, m.Parked = StateHash{Index: near(r.log.applied), Sum: [32]byte{f.next() % 2}}, f.next()%2 == 0
	}
	if t, ok := r.log.term(m.LogIndex); ok && f.next()%4 > 0 {
		m.LogTerm = t
	} else {
		m.LogTerm = Term(f.next() % 8)
	}
	if r.role == Leader && m.Term == r.term && (m.Kind == KindAppendEntries || m.Kind == KindHeartbeat || m.Kind == KindInstallSnapshot) {
		m.Term++
	}
	m.LogIndex = max(m.LogIndex, r.log.committed)
	for i := range Index(f.next() % 4) {
		m.Entries = append(m.Entries, Entry{
			Index: m.LogIndex + 1 + i, Term: m.LogTerm + Term(f.next()%3), Kind: EntryKind(f.next() % 4), Data: []byte{f.next()},
		})
	}
	if f.next()%8 == 0 {
		m.Snapshot = &SnapshotMeta{
			Index: m.LogIndex + Index(f.next()%4), Term: m.LogTerm,
			Membership: r.memberships[0].Membership, MembershipIndex: 1,
		}
	}
	for range f.next() % 3 {
		m.Proposals = append(m.Proposals, Proposal{ID: RequestID{2, uint64(f.next())}, Data: []byte("y")})
		m.Reads = append(m.Reads, RequestID{2, uint64(f.next())})
		m.Results = append(m.Results, ProposalResult{ID: RequestID{1, 1}, Index: m.LogIndex, Term: m.Term})
	}
	return m
}
