package rafttest

import (
	"errors"
	"fmt"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// hash tells a node's core what its state is, at the indexes where that is compared. A
// register is its own hash.
func (c *Cluster) hash(n *node) {
	if c.hashEvery == 0 || n.applied%c.hashEvery != 0 {
		return
	}
	s := raft.StateHash{Index: n.applied}
	copy(s.Sum[:], n.value)
	n.core.StateHashed(s)
}

// hashText writes a hash that is a register.
func hashText(s *raft.StateHash) string {
	value := string(s.Sum[:])
	for len(value) > 0 && value[len(value)-1] == 0 {
		value = value[:len(value)-1]
	}
	if value == "" {
		value = "none"
	}
	return fmt.Sprintf("%s at %d", value, s.Index)
}

// tamper changes a node's state behind its back.
func (c *Cluster) tamper(n *node, args []string) error {
	if n.core == nil {
		return fmt.Errorf("%s does not run", n.name)
	}
	if args[0] == n.value {
		return errors.New("that is its value")
	}
	n.value, n.tampered = args[0], true
	c.say("the value of %s turns into %s", n.name, n.value)
	return nil
}

// stick lets a node's state machine give up on the log.
func (c *Cluster) stick(n *node, _ []string) error {
	if n.core == nil {
		return fmt.Errorf("%s does not run", n.name)
	}
	c.say("the state of %s can't follow the log any further", n.name)
	n.core.StateStuck()
	c.noteRole(n)
	return nil
}

// snapshotIfWanted takes the snapshot that a parked member waits for, and leaves the log.
func (c *Cluster) snapshotIfWanted(n *node) error {
	if !n.core.SnapshotWanted() || n.core.Durable() < n.applied {
		return nil
	}
	return c.snapshot(n, []string{fmt.Sprint(n.applied - n.disk.base.Index)})
}

// parkedText tells whether a follower is parked, and what it asks for.
func parkedText(m *raft.Message) string {
	switch {
	case !m.Parked:
		return ""
	case m.LogIndex == 0:
		return ", parked"
	default:
		return fmt.Sprintf(", parked: the right value is %s, a snapshot at %d or later is wanted", hashText(&m.State), m.LogIndex)
	}
}
