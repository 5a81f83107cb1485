package rafttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// stopped refuses what can only be done to the disk of a node that is down.
func stopped(n *node) error {
	if n.core != nil {
		return fmt.Errorf("%s runs", n.name)
	}
	return nil
}

// damage makes the disk of a node lose its log from an entry on.
func (c *Cluster) damage(n *node, args []string) error {
	v, err := strconv.ParseUint(args[0], 10, 64)
	first := raft.Index(v)
	if err != nil || first <= n.disk.base.Index || first > n.disk.last() {
		return fmt.Errorf("there is no entry %q on the disk of %s", args[0], n.name)
	}
	if err := stopped(n); err != nil {
		return err
	}
	rest := *n.disk
	rest.entries = slices.Clone(rest.entries[:first-rest.base.Index-1])
	n.disk.lose(rest)
	c.say("the disk of %s loses the log from entry %d on", n.name, first)
	return nil
}

// keep remembers a node's disk as it is.
func (c *Cluster) keep(n *node, _ []string) error {
	kept := *n.disk
	kept.entries = slices.Clone(kept.entries)
	n.disk.kept = &kept
	return nil
}

// rollBack puts the log back that was kept.
func (c *Cluster) rollBack(n *node, _ []string) error {
	if n.disk.kept == nil {
		return fmt.Errorf("the disk of %s was not kept", n.name)
	}
	if err := stopped(n); err != nil {
		return err
	}
	rest := *n.disk.kept
	rest.entries = slices.Clone(rest.entries)
	n.disk.lose(rest)
	end := n.disk.end()
	c.say("the disk of %s comes back with an older log, which ends with %s", n.name, at(end.Index, end.Term))
	return nil
}

// setSpace sets how much room a node's disk has.
func (c *Cluster) setSpace(n *node, args []string) error {
	for _, space := range []raft.Space{raft.SpacePlenty, raft.SpaceLow, raft.SpaceFull} {
		if space.String() != args[0] {
			continue
		}
		n.disk.space = space
		if n.core != nil {
			n.core.SetSpace(space)
		}
		c.say("the room on the disk of %s: %s", n.name, space)
		return nil
	}
	return fmt.Errorf("unknown word %q", args[0])
}

// ailments tells what is wrong with a node's disk or state, as its core sees it.
func ailments(s *raft.Status) string {
	var all []string
	if s.Faulty {
		all = append(all, "lost the log up to "+at(s.Watermark.Index, s.Watermark.Term))
	}
	if s.Space != raft.SpacePlenty {
		all = append(all, "room on disk "+s.Space.String())
	}
	if s.Stalled {
		all = append(all, "disk stalled")
	}
	if s.Parked != raft.ParkNone {
		all = append(all, "parked: "+s.Parked.String())
	}
	if s.Disagreement != 0 {
		all = append(all, fmt.Sprintf("states differ at %d", s.Disagreement))
	}
	return strings.Join(all, ", ")
}
