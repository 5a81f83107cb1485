package rafttest

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// RunScript replays a transcript. A command stands on a line of its own,
// followed by "----" and what it must write; go test -rewrite writes it anew.
//
//	cluster A B C [seed=N]       voters with these names, all stopped
//	timeouts A=(150,220) B=150   the next election timeouts, in milliseconds
//	start [A ...]                start these nodes, or all
//	elect B                      let B become leader without telling how
//	run 300ms                    let time pass; messages arrive at once
//	tick 50ms                    let time pass; nothing is processed
//	process [A ...]              let these nodes, or all, act once
//	deliver                      hand over what is under way
//	settle                       process and deliver until all is quiet
//	propose A client-1 SET 5     a client asks a node
//	read A                       a client asks for a fresh read
//	crash A | disk A slow|fast   faults
//	partition A,B C,D,E | heal   cut and mend the network
//	quiet heartbeats | loud      leave heartbeats out of the story, or not
//	state                        every node: role, term, vote, log, value
func RunScript(t *testing.T, path string) {
	t.Helper()
	var c *Cluster
	var out strings.Builder
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		t.Helper()
		out.Reset()
		args := arguments(d)
		if d.Cmd == "cluster" {
			c = newScriptCluster(t, d)
			c.Out = &out
			return "ok\n"
		}
		if c == nil {
			t.Fatalf("%s: the script must begin with cluster", d.Pos)
		}
		if err := c.command(d, args, &out); err != nil {
			fmt.Fprintf(&out, "error: %v\n", err)
		}
		if out.Len() == 0 {
			return "ok\n"
		}
		return out.String()
	})
}

// arguments returns a command's words without values.
func arguments(d *datadriven.TestData) []string {
	var words []string
	for _, a := range d.CmdArgs {
		words = append(words, a.Key)
	}
	return words
}

func newScriptCluster(t *testing.T, d *datadriven.TestData) *Cluster {
	t.Helper()
	seed := uint64(1)
	var names []string
	for _, a := range d.CmdArgs {
		if a.Key != "seed" {
			names = append(names, a.Key)
			continue
		}
		v, err := strconv.ParseUint(a.Vals[0], 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		seed = v
	}
	return NewCluster(nil, seed, names...)
}

func (c *Cluster) command(d *datadriven.TestData, args []string, out *strings.Builder) error {
	switch d.Cmd {
	case "timeouts":
		return c.setTimeouts(d)
	case "start":
		return c.each(args, func(n *node) error { return c.Start(n.name) })
	case "process":
		return c.each(args, func(n *node) error { _, err := c.Process(n); return err })
	case "deliver":
		c.Deliver()
		return nil
	case "settle":
		return c.Settle()
	case "run", "tick":
		return c.pass(args[0], d.Cmd == "run")
	case "elect":
		return c.elect(args[0])
	case "propose":
		return c.Propose(args[0], args[1], strings.Join(args[2:], " "))
	case "read":
		return c.Read(args[0])
	case "crash":
		return c.Crash(args[0])
	case "disk":
		return c.setDisk(args[0], args[1])
	case "partition":
		return c.partition(d)
	case "heal":
		clear(c.cut)
		c.say("the network is whole again")
		return nil
	case "quiet", "loud":
		c.quiet[raft.KindHeartbeat] = d.Cmd == "quiet"
		c.quiet[raft.KindHeartbeatReply] = d.Cmd == "quiet"
		return nil
	case "state":
		c.writeState(out)
		return nil
	default:
		return fmt.Errorf("unknown command %q", d.Cmd)
	}
}

// each calls do for the named nodes, or for all.
func (c *Cluster) each(names []string, do func(*node) error) error {
	for _, n := range c.nodes {
		if len(names) > 0 && !slices.Contains(names, n.name) {
			continue
		}
		if err := do(n); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) setTimeouts(d *datadriven.TestData) error {
	for _, a := range d.CmdArgs {
		n, err := c.node(a.Key)
		if err != nil {
			return err
		}
		n.random.fixed = nil
		for _, v := range a.Vals {
			millis, err := strconv.Atoi(v)
			if err != nil || millis < 150 || millis > 300 || millis%TickMillis != 0 {
				return fmt.Errorf("timeout %q of %s is not a multiple of %d in 150 to 300", v, a.Key, TickMillis)
			}
			n.random.fixed = append(n.random.fixed, (millis-150)/TickMillis)
		}
	}
	return nil
}

// pass lets time pass; with settle, everything happens that follows from it.
func (c *Cluster) pass(text string, settle bool) error {
	millis, err := strconv.Atoi(strings.TrimSuffix(text, "ms"))
	if err != nil || millis <= 0 || millis > 60_000 {
		return fmt.Errorf("time %q is not between 1ms and 60000ms", text)
	}
	for range millis / TickMillis {
		c.Tick()
		if !settle {
			continue
		}
		if err := c.Settle(); err != nil {
			return err
		}
	}
	return nil
}

// elect lets time pass, untold, until a node leads: its timeouts are the
// shortest and the others' the longest.
func (c *Cluster) elect(name string) error {
	out := c.Out
	c.Out = io.Discard
	defer func() { c.Out = out }()
	for _, n := range c.nodes {
		n.random.fixed = []int{15, 15, 15}
		if n.name == name {
			n.random.fixed = []int{0, 0, 0}
		}
		if n.core == nil {
			if err := c.Start(n.name); err != nil {
				return err
			}
		}
	}
	leader, err := c.node(name)
	if err != nil {
		return err
	}
	const limit = 2000
	for range limit {
		if err := c.pass("10ms", true); err != nil {
			return err
		}
		if s := leader.core.Status(); s.Role == raft.Leader && s.Committed == s.Last {
			for _, n := range c.nodes {
				n.random.fixed = nil
			}
			fmt.Fprintf(out, "%5d ms  %s leads term %d\n", c.millis, name, s.Term)
			return nil
		}
	}
	return fmt.Errorf("%s does not lead after %d ms", name, limit*TickMillis)
}

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

// writeState writes a line for every node.
func (c *Cluster) writeState(out *strings.Builder) {
	for _, n := range c.nodes {
		if n.core == nil {
			fmt.Fprintf(out, "%s  down\n", n.name)
			continue
		}
		s := n.core.Status()
		value := n.value
		if value == "" {
			value = "none"
		}
		var entries []string
		log, err := n.core.Entries(1, s.Last+1)
		if err != nil {
			fmt.Fprintf(out, "%s  %v\n", n.name, err)
			continue
		}
		for i := range log {
			if log[i].Kind != raft.EntryMembership {
				entries = append(entries, entryText(&log[i]))
			}
		}
		fmt.Fprintf(out, "%s  %-12s term %d  vote %-6s  leader %-6s  committed %d  value %s  log [%s]\n",
			n.name, s.Role, s.Term, c.nameOf(s.Vote), c.nameOf(s.Leader), s.Committed, value, strings.Join(entries, ", "))
	}
}
