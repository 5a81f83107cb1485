package rafttest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// operator is the client who changes the membership and hands leadership over.
const operator = "the operator"

// addSpare adds a node with an empty disk that is part of no configuration.
func (c *Cluster) addSpare(name string, seed uint64) { c.addNode(name, seed).spare = true }

// flood lets many clients propose at once, of commands of a given size.
func (c *Cluster) flood(d *datadriven.TestData, args []string) error {
	n, err := c.node(args[0])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[1])
	if err != nil || count < 1 || count > 100_000 {
		return fmt.Errorf("%q clients", args[1])
	}
	bytes := 8
	for _, a := range d.CmdArgs {
		if a.Key == "bytes" {
			if bytes, err = strconv.Atoi(a.Vals[0]); err != nil || bytes < 1 || bytes > 8<<20 {
				return fmt.Errorf("%q bytes", a.Vals[0])
			}
		}
	}
	if n.core == nil {
		return fmt.Errorf("%s does not run", n.name)
	}
	c.say("%d clients ask %s, %d bytes each", count, n.name, bytes)
	for i := range count {
		id := c.await(n, fmt.Sprintf("flood-%d", i+1))
		n.core.Propose(raft.Proposal{ID: id, Data: []byte(strings.Repeat("x", bytes))})
	}
	return nil
}

func (c *Cluster) addLearner(n *node, args []string) error {
	other, err := c.node(args[0])
	if err != nil {
		return err
	}
	member := raft.Member{ID: other.id, Name: other.name, Address: other.name}
	return c.change(n, raft.Change{Kind: raft.AddLearner, Member: member}, "to let "+other.name+" learn")
}

func (c *Cluster) promote(n *node, args []string) error {
	other, err := c.node(args[0])
	if err != nil {
		return err
	}
	return c.change(n, raft.Change{Kind: raft.Promote, Member: raft.Member{ID: other.id}}, "to make "+other.name+" a voter")
}

func (c *Cluster) remove(n *node, args []string) error {
	other, err := c.node(args[0])
	if err != nil {
		return err
	}
	return c.change(n, raft.Change{Kind: raft.Remove, Member: raft.Member{ID: other.id}}, "to remove "+other.name)
}

func (c *Cluster) change(n *node, change raft.Change, what string) error {
	if n.core == nil {
		return fmt.Errorf("%s does not run", n.name)
	}
	c.say("the operator asks %s %s", n.name, what)
	n.core.ChangeMembership(c.await(n, operator), change)
	return nil
}

func (c *Cluster) transfer(n *node, args []string) error {
	if n.core == nil {
		return fmt.Errorf("%s does not run", n.name)
	}
	to, name := raft.NoMember, "whom it likes"
	if len(args) > 0 {
		other, err := c.node(args[0])
		if err != nil {
			return err
		}
		to, name = other.id, other.name
	}
	c.say("the operator asks %s to hand over to %s", n.name, name)
	n.core.TransferLeadership(c.await(n, operator), to)
	c.noteRole(n)
	return nil
}

// snapshot lets a node write its state down and compact its log up to it, save for
// some entries before it.
func (c *Cluster) snapshot(n *node, args []string) error {
	if n.core == nil {
		return fmt.Errorf("%s does not run", n.name)
	}
	keep, err := strconv.Atoi(word(args, 0, "0"))
	if err != nil || keep < 0 || raft.Index(keep) > n.applied-n.disk.base.Index {
		return fmt.Errorf("%q entries of %d", word(args, 0, "0"), n.applied-n.disk.base.Index)
	}
	if n.core.Durable() < n.applied {
		return fmt.Errorf("%s has only %d entries on disk and applied %d", n.name, n.core.Durable(), n.applied)
	}
	meta, base := n.core.SnapshotMeta(n.applied), n.core.SnapshotMeta(n.applied-raft.Index(keep))
	n.disk.take(meta, base, n.value, n.tampered)
	n.core.SnapshotSaved(meta, base.Index)
	c.say("%s takes a snapshot at %s with %s, and compacts its log up to %d",
		n.name, at(meta.Index, meta.Term), membershipText(&meta.Membership), base.Index)
	return nil
}
