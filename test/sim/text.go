package sim

import (
	"fmt"
	"strings"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// memberText is the name of the node that has or had an ID.
func memberText(id raft.MemberID) string {
	if generation := id / idsPerGeneration; generation > 0 {
		return fmt.Sprintf("n%d.%d", id%idsPerGeneration, generation)
	}
	return fmt.Sprintf("n%d", id)
}

func membersText(ids []raft.MemberID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = memberText(id)
	}
	return strings.Join(names, ",")
}

// membershipText tells who votes: {new <- old + learners}.
func membershipText(m *raft.Membership) string {
	text := "{" + membersText(m.Voters)
	if m.IsJoint() {
		text += " <- " + membersText(m.Outgoing)
	}
	if len(m.Learners) > 0 {
		text += " + " + membersText(m.Learners)
	}
	return text + "}"
}

// at writes an entry's place as index/term.
func at(i raft.Index, t raft.Term) string { return fmt.Sprintf("%d/t%d", i, t) }

func entryText(e *raft.Entry) string {
	switch e.Kind {
	case raft.EntryNoOp:
		return at(e.Index, e.Term) + " no-op"
	case raft.EntryMembership:
		return at(e.Index, e.Term) + " " + membershipText(e.Membership)
	default:
		return at(e.Index, e.Term)
	}
}

func entriesText(entries []raft.Entry) string {
	if len(entries) == 0 {
		return "nothing"
	}
	var texts []string
	for i := range entries {
		if i == 8 {
			texts = append(texts, fmt.Sprintf("... %s", entryText(&entries[len(entries)-1])))
			break
		}
		texts = append(texts, entryText(&entries[i]))
	}
	return strings.Join(texts, ", ")
}

func writeText(w *raft.Write) string {
	text := fmt.Sprintf("write %d, term %d, vote %s, commit %d", w.ID, w.HardState.Term, memberText(w.HardState.Vote), w.HardState.Commit)
	if w.TruncateFrom != 0 {
		text += fmt.Sprintf(", removes from %d", w.TruncateFrom)
	}
	if len(w.Entries) > 0 {
		text += ", adds " + entriesText(w.Entries)
	}
	if w.Snapshot != nil {
		text += ", installs the snapshot at " + at(w.Snapshot.Index, w.Snapshot.Term)
	}
	return text
}

// kindNames are the names of messages, as the paper has them where it does.
var kindNames = map[raft.MessageKind]string{
	raft.KindPreVote: "PreVote", raft.KindPreVoteReply: "PreVoteReply",
	raft.KindRequestVote: "RequestVote", raft.KindRequestVoteReply: "RequestVoteReply",
	raft.KindAppendEntries: "AppendEntries", raft.KindAppendEntriesReply: "AppendEntriesReply",
	raft.KindHeartbeat: "Heartbeat", raft.KindHeartbeatReply: "HeartbeatReply",
	raft.KindInstallSnapshot: "InstallSnapshot", raft.KindTimeoutNow: "TimeoutNow",
	raft.KindPropose: "Propose", raft.KindProposeReply: "ProposeReply",
	raft.KindReadIndex: "ReadIndex", raft.KindReadIndexReply: "ReadIndexReply",
}

// messageText tells a message in one line.
func messageText(m *raft.Message) string {
	text := fmt.Sprintf("%s term %d", kindNames[m.Kind], m.Term)
	if m.Reject {
		text += ", refused: " + m.Reason.String()
	}
	switch m.Kind {
	case raft.KindAppendEntries:
		text += fmt.Sprintf(", after %s: %s, commit %d", at(m.LogIndex, m.LogTerm), entriesText(m.Entries), m.Commit)
	case raft.KindAppendEntriesReply:
		text += fmt.Sprintf(", index %d, hint term %d, of %d", m.LogIndex, m.LogTerm, m.RejectedIndex)
	case raft.KindPreVote, raft.KindRequestVote:
		text += fmt.Sprintf(", log ends with %s, transfer %t", at(m.LogIndex, m.LogTerm), m.Transfer)
	case raft.KindHeartbeat, raft.KindHeartbeatReply:
		text += fmt.Sprintf(", commit %d, round %d", m.Commit, m.Round)
	case raft.KindInstallSnapshot:
		text += ", snapshot " + at(m.Snapshot.Index, m.Snapshot.Term)
	case raft.KindPropose:
		text += fmt.Sprintf(", %d commands", len(m.Proposals))
	case raft.KindProposeReply:
		for _, r := range m.Results {
			text += fmt.Sprintf(", %s %s", at(r.Index, r.Term), r.Reason.String())
		}
	case raft.KindReadIndex, raft.KindReadIndexReply:
		text += fmt.Sprintf(", %d reads, index %d", len(m.Reads), m.LogIndex)
	}
	return text + fmt.Sprintf(", session %d, boot %04x", m.Session, m.Boot&0xffff)
}
