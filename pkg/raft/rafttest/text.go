package rafttest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// messageText tells a message in the words of the Raft paper.
func messageText(m *raft.Message) string {
	switch m.Kind {
	case raft.KindPreVote:
		return fmt.Sprintf("PreVote for term %d, my log ends with %s", m.Term, at(m.LogIndex, m.LogTerm))
	case raft.KindRequestVote:
		return fmt.Sprintf("RequestVote in term %d, my log ends with %s", m.Term, at(m.LogIndex, m.LogTerm))
	case raft.KindPreVoteReply:
		return fmt.Sprintf("PreVote %s in term %d", granted(m), m.Term)
	case raft.KindRequestVoteReply:
		return fmt.Sprintf("vote %s in term %d", granted(m), m.Term)
	case raft.KindAppendEntries:
		return fmt.Sprintf("AppendEntries in term %d after %s: %s, committed %d",
			m.Term, at(m.LogIndex, m.LogTerm), entriesText(m.Entries), m.Commit)
	case raft.KindAppendEntriesReply:
		if m.Reason == raft.ReasonOldTerm {
			return fmt.Sprintf("AppendEntries refused, it is term %d", m.Term)
		}
		if m.Reason == raft.ReasonDiskFull {
			return fmt.Sprintf("AppendEntries refused in term %d: %s", m.Term, m.Reason)
		}
		if m.Reject {
			return fmt.Sprintf("AppendEntries refused in term %d: no match at %d, try %s",
				m.Term, m.RejectedIndex, at(m.LogIndex, m.LogTerm))
		}
		return fmt.Sprintf("AppendEntries accepted in term %d, durable up to %d", m.Term, m.LogIndex)
	case raft.KindHeartbeat:
		return fmt.Sprintf("AppendEntries (heartbeat) in term %d, committed %d", m.Term, m.Commit)
	case raft.KindHeartbeatReply:
		if m.Reject {
			return fmt.Sprintf("heartbeat refused, it is term %d", m.Term)
		}
		if m.Reason == raft.ReasonDiskFull {
			return fmt.Sprintf("heartbeat answered in term %d: %s%s", m.Term, m.Reason, parkedText(m))
		}
		return fmt.Sprintf("heartbeat answered in term %d%s", m.Term, parkedText(m))
	case raft.KindPropose:
		var commands []string
		for _, p := range m.Proposals {
			commands = append(commands, commandText(p.Data))
		}
		return "forwards " + listText(commands)
	case raft.KindProposeReply:
		var results []string
		for _, r := range m.Results {
			if r.Reason != raft.ReasonNone {
				results = append(results, "refused, "+r.Reason.String())
			} else {
				results = append(results, "it is entry "+at(r.Index, r.Term))
			}
		}
		return strings.Join(results, ", ")
	case raft.KindReadIndex:
		return "asks for a read barrier"
	case raft.KindReadIndexReply:
		return fmt.Sprintf("read barrier at %d: %s", m.LogIndex, m.Reason.String())
	case raft.KindTimeoutNow:
		return fmt.Sprintf("TimeoutNow in term %d", m.Term)
	case raft.KindStateHash:
		return "my value is " + hashText(&m.State)
	case raft.KindInstallSnapshot:
		return fmt.Sprintf("InstallSnapshot of %s", at(m.Snapshot.Index, m.Snapshot.Term))
	default:
		return fmt.Sprintf("message of kind %d", m.Kind)
	}
}

// at writes an entry's place as index/term.
func at(i raft.Index, t raft.Term) string { return fmt.Sprintf("%d/t%d", i, t) }

func granted(m *raft.Message) string {
	if m.Reject {
		return "refused (" + m.Reason.String() + ")"
	}
	return "granted"
}

// entriesText lists entries, or says that there are none.
func entriesText(entries []raft.Entry) string {
	if len(entries) == 0 {
		return "nothing new"
	}
	var parts []string
	for i := range entries {
		parts = append(parts, entryText(&entries[i]))
	}
	return listText(parts)
}

// listText joins texts; of a long list it gives the ends.
func listText(parts []string) string {
	const longest, ends = 12, 3
	if len(parts) > longest {
		gap := fmt.Sprintf("%d more", len(parts)-2*ends)
		parts = slices.Concat(parts[:ends], []string{gap}, parts[len(parts)-ends:])
	}
	return strings.Join(parts, ", ")
}

func entryText(e *raft.Entry) string {
	switch e.Kind {
	case raft.EntryNoOp:
		return at(e.Index, e.Term) + " no-op"
	case raft.EntryMembership:
		return at(e.Index, e.Term) + " " + membershipText(e.Membership)
	default:
		return at(e.Index, e.Term) + " " + commandText(e.Data)
	}
}

// commandText writes a command, of a long one the length.
func commandText(data []byte) string {
	const longest = 24
	if len(data) > longest {
		return fmt.Sprintf("(%d bytes)", len(data))
	}
	return string(data)
}

// membershipText writes a configuration as {A B C}, a joint one with both its
// halves, and learners behind it.
func membershipText(m *raft.Membership) string {
	names := func(ids []raft.MemberID) string {
		var all []string
		for _, id := range ids {
			member, _ := m.Member(id)
			all = append(all, member.Name)
		}
		return strings.Join(all, " ")
	}
	text := "{" + names(m.Voters) + "}"
	if m.IsJoint() {
		text = "{" + names(m.Outgoing) + "} and " + text
	}
	if len(m.Learners) > 0 {
		text += " learning " + names(m.Learners)
	}
	return text
}

// writeText tells what a Write changes on disk.
func writeText(c *Cluster, w *raft.Write) string {
	var parts []string
	if w.HardStateChanged {
		parts = append(parts, fmt.Sprintf("term %d with its vote for %s", w.HardState.Term, c.nameOf(w.HardState.Vote)))
	}
	if w.HardStateChanged && w.HardState.Parked {
		parts = append(parts, "that it is parked")
	}
	if w.TruncateFrom != 0 {
		parts = append(parts, fmt.Sprintf("the removal of everything from entry %d on", w.TruncateFrom))
	}
	if len(w.Entries) > 0 {
		parts = append(parts, entriesText(w.Entries))
	}
	if w.Snapshot != nil {
		parts = append(parts, "the snapshot at "+at(w.Snapshot.Index, w.Snapshot.Term))
	}
	return strings.Join(parts, "; ")
}
