package raft

import (
	"cmp"
	"slices"
)

// Members compare the hashes of their state machines' states at equal indexes. The
// paper has no such thing: it takes for granted that the same log makes the same
// state. The rules here are ours:
//
//   - at indexes that the state machine chooses, the same ones everywhere, a member
//     tells all others the hash of its state, and tells the newest one again and again;
//   - where a majority of the voters (of both halves of a joint configuration) has one
//     hash and this member another, this member parks (parking.go);
//   - where hashes differ and none has a majority, nobody can tell who is right: then
//     there is only the alarm, which every disagreement raises (Status.Disagreement).
//
// A lagging member compares when it comes to an index of which it has others' hashes.
// Each member's last hashesKept are kept, so one that lags by more indexes than that
// compares once it lags by fewer. A lost message costs nothing but time, and a late or
// repeated one says what was true once.

// StateHash is a hash of the state machine's state.
type StateHash struct {
	// Index is the last index applied to the state.
	Index Index
	// Sum is any function of the state, the same on every member. A shorter one leaves
	// the rest zero.
	Sum [32]byte
}

// hashesKept is how many hashes of each member are kept.
const hashesKept = 16

// hashRepeatTimeouts is how many of the longest election timeouts lie between two times
// that a member tells its newest hash.
const hashRepeatTimeouts = 4

// hashes are a member's last ones, by index.
type hashes []StateHash

// add keeps a hash, in the place of an earlier one of the same index.
func (h *hashes) add(s StateHash) {
	i, found := h.find(s.Index)
	if found {
		(*h)[i] = s
		return
	}
	*h = slices.Insert(*h, i, s)
	if len(*h) > hashesKept {
		*h = slices.Delete(*h, 0, 1)
	}
}

func (h *hashes) find(i Index) (int, bool) {
	return slices.BinarySearchFunc(*h, i, func(s StateHash, i Index) int { return cmp.Compare(s.Index, i) })
}

// agreement is what a member knows of its own state and those of the others.
type agreement struct {
	own    hashes
	others []memberHashes
	// repeatTicks counts since the own newest hash was told.
	repeatTicks int
	// disagreement is the last index at which two members' hashes differed, 0 once all
	// voters' are equal at a later one.
	disagreement Index
}

type memberHashes struct {
	member MemberID
	hashes hashes
}

// StateHashed tells the hash of the state machine's state at an index. It is told before
// the index is reported by Applied.
func (r *Raft) StateHashed(s StateHash) {
	if r.park.held() {
		// Of a state that is known to be wrong.
		return
	}
	r.agreement.own.add(s)
	r.tellHash(s)
	r.compareAt(s.Index)
}

// tellHash sends a hash to all other members.
func (r *Raft) tellHash(s StateHash) {
	r.agreement.repeatTicks = 0
	for _, member := range r.membership().Members {
		if member.ID != r.id {
			r.send(Message{Kind: KindStateHash, To: member.ID, State: s})
		}
	}
}

// tickAgreement tells the newest hash again: the others may have been away.
func (r *Raft) tickAgreement() {
	r.agreement.repeatTicks++
	own := r.agreement.own
	if len(own) > 0 && !r.park.held() && r.agreement.repeatTicks >= hashRepeatTimeouts*r.config.ElectionTicksMax {
		r.tellHash(own[len(own)-1])
	}
}

// handleStateHash takes another member's hash.
func (r *Raft) handleStateHash(m *Message) {
	membership := r.membership()
	if _, member := membership.Member(m.From); !member {
		return
	}
	a := &r.agreement
	i := slices.IndexFunc(a.others, func(o memberHashes) bool { return o.member == m.From })
	if i < 0 {
		a.others = slices.DeleteFunc(a.others, func(o memberHashes) bool {
			_, member := membership.Member(o.member)
			return !member
		})
		i = len(a.others)
		a.others = append(a.others, memberHashes{member: m.From})
	}
	a.others[i].hashes.add(m.State)
	r.compareAt(m.State.Index)
}

// hashAt returns what a member has said of its state at an index.
func (r *Raft) hashAt(id MemberID, i Index) (StateHash, bool) {
	known := r.agreement.own
	if id != r.id {
		n := slices.IndexFunc(r.agreement.others, func(o memberHashes) bool { return o.member == id })
		if n < 0 {
			return StateHash{}, false
		}
		known = r.agreement.others[n].hashes
	}
	n, found := known.find(i)
	if !found {
		return StateHash{}, false
	}
	return known[n], true
}

// compareAt looks at what is known of an index, and parks this member if it must.
func (r *Raft) compareAt(i Index) {
	membership := r.membership()
	if _, member := membership.Member(r.id); !member {
		return
	}
	r.noteDisagreement(i)
	right, found := r.majorityAt(i)
	if !found {
		return
	}
	if own, known := r.hashAt(r.id, i); known && own != right && !r.park.held() {
		r.parkDiffering(right)
	}
	if r.park.differs && i > r.park.proof.Index {
		r.park.proof = right
		if r.park.least == 0 {
			r.park.least = i
		}
	}
}

// majorityAt returns the hash that a majority of the voters has at an index.
func (r *Raft) majorityAt(i Index) (StateHash, bool) {
	membership := r.membership()
	for _, member := range membership.Members {
		candidate, known := r.hashAt(member.ID, i)
		if !known {
			continue
		}
		won := tally(membership, func(id MemberID) ballot {
			if s, known := r.hashAt(id, i); known && s == candidate {
				return ballotGranted
			}
			return ballotRefused
		})
		if won == outcomeWon {
			return candidate, true
		}
	}
	return StateHash{}, false
}

// noteDisagreement raises the alarm where hashes differ, and ends it where all voters'
// are known and equal.
func (r *Raft) noteDisagreement(i Index) {
	var first StateHash
	known, differ, all := false, false, true
	for _, member := range r.membership().Members {
		s, told := r.hashAt(member.ID, i)
		switch {
		case !told:
			all = all && !r.membership().IsVoter(member.ID)
		case !known:
			first, known = s, true
		case s != first:
			differ = true
		}
	}
	switch {
	case differ && i > r.agreement.disagreement:
		r.agreement.disagreement = i
		r.counts.Disagreements++
	case known && all && !differ && i > r.agreement.disagreement:
		r.agreement.disagreement = 0
	}
}

// Disagreement returns the last index at which two members' states differed, 0 once all
// voters' agree at a later one.
func (r *Raft) Disagreement() Index { return r.agreement.disagreement }
