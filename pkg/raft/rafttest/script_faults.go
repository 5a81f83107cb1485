package rafttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// setDisk makes a node's disk keep Writes back, or finish them.
func (c *Cluster) setDisk(name, speed string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	n.slowDisk = speed == "slow"
	c.say("the disk of %s is %s", name, speed)
	if !n.slowDisk && n.core != nil {
		c.FinishWrites(n)
	}
	return nil
}

// finish lets a slow disk finish its oldest Writes, or all.
func (c *Cluster) finish(n *node, args []string) error {
	count := len(n.heldBack)
	if len(args) > 0 {
		v, err := strconv.Atoi(args[0])
		if err != nil || v < 1 || v > count {
			return fmt.Errorf("%q of %d Writes", args[0], count)
		}
		count = v
	}
	c.finishWrites(n, count)
	return nil
}

// wipe empties the disk of a node that is down. Its ID stays, which no real node
// does: its disk would mint another.
func (c *Cluster) wipe(n *node, _ []string) error {
	if n.core != nil {
		return fmt.Errorf("%s runs", n.name)
	}
	n.disk = &disk{}
	c.say("the disk of %s is empty", n.name)
	return nil
}

// writeLog puts a log on the disk of a node that is down. Entries of the same index
// and term are the same on every node.
func (c *Cluster) writeLog(d *datadriven.TestData, args []string) error {
	n, err := c.node(args[0])
	if err != nil {
		return err
	}
	if n.core != nil {
		return fmt.Errorf("%s runs", n.name)
	}
	n.disk.entries = n.disk.entries[:1]
	for _, arg := range args[1:] {
		text, times, _ := strings.Cut(arg, "*")
		term, err := strconv.Atoi(text)
		count := 1
		if err == nil && times != "" {
			count, err = strconv.Atoi(times)
		}
		last := n.disk.entries[len(n.disk.entries)-1]
		if err != nil || raft.Term(term) < last.Term || term < 1 || count < 1 || count > 1_000_000 {
			return fmt.Errorf("%q after term %d", arg, last.Term)
		}
		for i := range count {
			n.disk.entries = append(n.disk.entries, raft.Entry{
				Index: last.Index + 1 + raft.Index(i), Term: raft.Term(term), Kind: raft.EntryCommand, Data: []byte("-"),
			})
		}
		n.disk.hardState.Term = raft.Term(term)
	}
	for _, a := range d.CmdArgs {
		if a.Key == "term" {
			term, err := strconv.Atoi(a.Vals[0])
			if err != nil || raft.Term(term) < n.disk.hardState.Term {
				return fmt.Errorf("term %q", a.Vals[0])
			}
			n.disk.hardState.Term = raft.Term(term)
		}
	}
	return nil
}

// setPaused stops a node as SIGSTOP does: messages to it wait.
func (c *Cluster) setPaused(n *node, paused bool) error {
	if n.core == nil {
		return fmt.Errorf("%s does not run", n.name)
	}
	n.paused = paused
	if paused {
		c.say("%s stands still", n.name)
	} else {
		c.say("%s goes on", n.name)
	}
	return nil
}

// partition cuts every link between the given groups.
func (c *Cluster) partition(d *datadriven.TestData) error {
	group := map[raft.MemberID]int{}
	var sides []string
	for i, a := range d.CmdArgs {
		names := strings.Split(a.Key, ",")
		for _, name := range names {
			n, err := c.node(name)
			if err != nil {
				return err
			}
			group[n.id] = i
		}
		sides = append(sides, "{"+strings.Join(names, " ")+"}")
	}
	for _, a := range c.nodes {
		for _, b := range c.nodes {
			c.cut[[2]raft.MemberID{a.id, b.id}] = group[a.id] != group[b.id]
		}
	}
	c.say("the network is cut into %s", strings.Join(sides, " and "))
	return nil
}

// link returns the direction that two words name.
func (c *Cluster) link(args []string) ([2]raft.MemberID, error) {
	from, err := c.node(args[0])
	if err != nil {
		return [2]raft.MemberID{}, err
	}
	to, err := c.node(args[1])
	if err != nil {
		return [2]raft.MemberID{}, err
	}
	return [2]raft.MemberID{from.id, to.id}, nil
}

// cutLink cuts or mends one direction.
func (c *Cluster) cutLink(args []string, cut bool) error {
	link, err := c.link(args)
	if err != nil {
		return err
	}
	c.cut[link] = cut
	if cut {
		c.say("nothing from %s reaches %s", args[0], args[1])
	} else {
		c.say("%s reaches %s again", args[0], args[1])
	}
	return nil
}

func (c *Cluster) healAll() error {
	clear(c.cut)
	c.say("the network is whole again")
	return nil
}

// kindNames are the words for kinds of messages.
var kindNames = map[string]raft.MessageKind{
	"pre-vote": raft.KindPreVote, "pre-vote-reply": raft.KindPreVoteReply,
	"vote": raft.KindRequestVote, "vote-reply": raft.KindRequestVoteReply,
	"append": raft.KindAppendEntries, "append-reply": raft.KindAppendEntriesReply,
	"heartbeat": raft.KindHeartbeat, "heartbeat-reply": raft.KindHeartbeatReply,
	"snapshot": raft.KindInstallSnapshot, "timeout-now": raft.KindTimeoutNow,
	"propose": raft.KindPropose, "propose-reply": raft.KindProposeReply,
	"read": raft.KindReadIndex, "read-reply": raft.KindReadIndexReply,
	"state-hash": raft.KindStateHash,
}

// holdLink makes messages on a link wait.
func (c *Cluster) holdLink(args []string) error {
	link, err := c.link(args)
	if err != nil {
		return err
	}
	h := hold{link: link}
	for _, name := range args[2:] {
		kind, ok := kindNames[name]
		if !ok {
			return fmt.Errorf("there is no kind of message %q", name)
		}
		h.kinds = append(h.kinds, kind)
	}
	c.holds = append(c.holds, h)
	return nil
}

// release does with what waits on a link what how says: nothing special, and
// backwards, let it go on and end the hold; again lets copies go on; never loses
// it.
func (c *Cluster) release(args []string, how string) error {
	link, err := c.link(args)
	if err != nil {
		return err
	}
	var freed, rest []raft.Message
	for _, m := range c.held {
		if link == [2]raft.MemberID{m.From, m.To} {
			freed = append(freed, m)
		} else {
			rest = append(rest, m)
		}
	}
	if len(freed) == 0 {
		return fmt.Errorf("nothing waits from %s to %s", args[0], args[1])
	}
	switch how {
	case "":
	case "backwards":
		slices.Reverse(freed)
	case "again":
		c.wire = append(c.wire, freed...)
		c.say("%d messages from %s to %s arrive, and will again", len(freed), args[0], args[1])
		return nil
	case "never":
		c.say("%d messages from %s to %s are lost", len(freed), args[0], args[1])
		for i := range freed {
			if freed[i].Kind == raft.KindInstallSnapshot {
				c.snapshotSent(&freed[i], false)
			}
		}
		freed = nil
	default:
		return fmt.Errorf("unknown word %q", how)
	}
	if len(freed) > 0 {
		c.say("%d messages from %s reach %s", len(freed), args[0], args[1])
	}
	c.wire = append(c.wire, freed...)
	c.held = rest
	c.holds = slices.DeleteFunc(c.holds, func(h hold) bool { return h.link == link })
	return nil
}
