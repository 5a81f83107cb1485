package raft

import "testing"

// TestReadsDoNotSendAgainWhatAFollowerIsStillWriting has a follower's disk take its
// time while reads come in without a pause: each is a round of heartbeats, which the
// follower answers at once.
func TestReadsDoNotSendAgainWhatAFollowerIsStillWriting(t *testing.T) {
	r := leaderOf3(t)
	r.Propose(Proposal{ID: RequestID{Boot: 1, Sequence: 1}, Data: make([]byte, 1000)})
	sequence := uint64(100)
	read := func(rounds int) (sent int) {
		t.Helper()
		for range rounds {
			sequence++
			r.ReadIndex(RequestID{Boot: 1, Sequence: sequence})
			ready, err := r.Ready(true)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range ready.Messages {
				switch {
				case m.Kind == KindAppendEntries && m.To == 2:
					sent += len(m.Entries)
				case m.Kind == KindHeartbeat:
					r.Step(Message{
						Kind: KindHeartbeatReply, From: m.To, To: 1, Term: m.Term, Session: m.Session, Boot: uint64(m.To), Round: m.Round,
					})
				}
			}
		}
		return sent
	}
	if sent := read(50); sent != 1 {
		t.Errorf("in 50 rounds within one tick the entry was sent %d times, want once", sent)
	}
	// It may have been lost after all.
	sent := 0
	for range 4 * r.config.HeartbeatTicks {
		r.Tick()
		sent += read(10)
	}
	if sent < 2 || sent > 8 {
		t.Errorf("in four heartbeat intervals the entry was sent again %d times, want 2 to 8", sent)
	}
}

// leaderOf3 returns member 1 of three, which the others have elected and whose
// entries they have acknowledged.
func leaderOf3(t *testing.T) *Raft {
	t.Helper()
	r := newFollower(t)
	for r.role == Follower {
		r.Tick()
	}
	for r.HasReady(true) {
		ready, err := r.Ready(true)
		if err != nil {
			t.Fatal(err)
		}
		if w := ready.Write; w != nil {
			r.Saved(w.ID)
			ready.Messages = append(ready.Messages, w.Messages...)
		}
		if n := len(ready.Committed); n > 0 {
			r.Applied(ready.Committed[n-1].Index)
		}
		for i := range ready.Messages {
			agree(r, &ready.Messages[i])
		}
	}
	if r.role != Leader || r.log.committed != r.log.last {
		t.Fatalf("it is %s and has committed %d of %d entries", r.role, r.log.committed, r.log.last)
	}
	return r
}

// agree answers a message of a member as one would that has all that it speaks of.
func agree(r *Raft, m *Message) {
	reply := Message{From: m.To, To: m.From, Term: m.Term, Session: m.Session, Boot: uint64(m.To)}
	switch m.Kind {
	case KindPreVote:
		reply.Kind = KindPreVoteReply
	case KindRequestVote:
		reply.Kind = KindRequestVoteReply
	case KindAppendEntries:
		reply.Kind, reply.LogIndex = KindAppendEntriesReply, m.LogIndex+Index(len(m.Entries))
	case KindHeartbeat:
		reply.Kind, reply.Round = KindHeartbeatReply, m.Round
	default:
		return
	}
	r.Step(reply)
}
