package rafttest

import (
	"slices"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// hold keeps messages on one link back.
type hold struct {
	link [2]raft.MemberID
	// kinds are what is kept back, all when there are none.
	kinds []raft.MessageKind
}

func (h *hold) catches(m *raft.Message) bool {
	return h.link == [2]raft.MemberID{m.From, m.To} && (len(h.kinds) == 0 || slices.Contains(h.kinds, m.Kind))
}

// Deliver hands over all messages under way, and tells whether there were any.
// Those to a paused node wait.
func (c *Cluster) Deliver() bool {
	batch := c.wire
	c.wire = nil
	moved := false
	for _, m := range batch {
		n := c.byID(m.To)
		if n.paused {
			c.wire = append(c.wire, m)
			continue
		}
		moved = true
		if n.core == nil || c.cut[[2]raft.MemberID{m.From, m.To}] {
			continue
		}
		if m.Kind == raft.KindInstallSnapshot {
			n.disk.arrived = c.judge.values[m.Snapshot.Index]
			c.snapshotSent(&m, true)
		}
		n.core.Step(m)
		c.noteRole(n)
	}
	return moved
}

// snapshotSent tells the sender of a snapshot what became of it.
func (c *Cluster) snapshotSent(m *raft.Message, arrived bool) {
	if from := c.byID(m.From); from.core != nil {
		from.core.SnapshotSent(m.To, arrived)
	}
}

// sendAll puts messages on the wire; those on a cut link or to a node that is
// down are lost at once.
func (c *Cluster) sendAll(messages []raft.Message) {
	for _, m := range messages {
		c.judge.sending(c.byID(m.From), &m)
		fate := ""
		switch {
		case c.byID(m.To).core == nil || c.cut[[2]raft.MemberID{m.From, m.To}]:
			fate = "  (lost)"
		case slices.ContainsFunc(c.holds, func(h hold) bool { return h.catches(&m) }):
			fate = "  (held up)"
		}
		if !c.quiet[m.Kind] {
			c.say("%s -> %s  %s%s", c.nameOf(m.From), c.nameOf(m.To), messageText(&m), fate)
		}
		switch {
		case fate == "":
			c.wire = append(c.wire, m)
		case fate == "  (held up)":
			c.held = append(c.held, m)
		case m.Kind == raft.KindInstallSnapshot:
			c.snapshotSent(&m, false)
		}
	}
}
