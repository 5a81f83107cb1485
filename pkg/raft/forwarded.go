package raft

// forwarder is what a leader remembers of a member that sends proposals on to it:
// the last one that it looked at.
type forwarder struct {
	member MemberID
	last   RequestID
}

// maxForwarders bounds how many members a leader hears proposals from, which are
// those of the configuration and a few that have left it.
const maxForwarders = 4 * maxMembers

// handlePropose takes proposals that another member sends on. They are meant for
// one leader in one term, so they can get into the log in that term only, and the
// sender can tell when they no longer can. Within the term a message is looked at
// once: a copy of it, or one that a later one has overtaken, is dropped. So the
// leader's refusal is final, whatever the network repeats. ReasonNotLeader is not:
// it may be said to a copy of what was appended before the member stepped down.
func (r *Raft) handlePropose(m *Message) {
	var results []ProposalResult
	switch {
	case r.role != Leader || r.term != m.Term:
		for i := range m.Proposals {
			results = append(results, ProposalResult{ID: m.Proposals[i].ID, Reason: ReasonNotLeader})
		}
	case !r.isNews(m):
		return
	default:
		results = r.appendProposals(m.Proposals)
	}
	r.send(Message{Kind: KindProposeReply, To: m.From, Results: results})
}

// isNews tells whether a member's proposals come after all that were looked at
// before, and notes them. The sender numbers what it offers in growing order.
func (r *Raft) isNews(m *Message) bool {
	if len(m.Proposals) == 0 {
		return false
	}
	first, last := m.Proposals[0].ID, m.Proposals[len(m.Proposals)-1].ID
	for i := range r.forwarders {
		f := &r.forwarders[i]
		if f.member != m.From {
			continue
		}
		if first.Boot < f.last.Boot || first.Boot == f.last.Boot && first.Sequence <= f.last.Sequence {
			return false
		}
		f.last = last
		return true
	}
	if len(r.forwarders) == maxForwarders {
		return false
	}
	r.forwarders = append(r.forwarders, forwarder{member: m.From, last: last})
	return true
}
