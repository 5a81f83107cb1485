package rafttest

import (
	"errors"
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
// Time and messages
//
//	cluster A B C [seed=N] [spare=(D,E)] [hashes=N] [inflight=N ...]
//	                             voters with these names, and nodes to be added
//	                             later, all stopped; for limits see limitNames. At
//	                             each Nth index their values are compared
//	timeouts A=(150,220) B=150   the next election timeouts, in milliseconds
//	start [A ...]                start these nodes, or all
//	elect B [A=150 ...]          let B become leader without telling how; the
//	                             others then wait for it that long
//	run 300ms [A ...]            let time pass; messages arrive at once
//	tick 50ms [A ...]            let time pass; nothing is processed
//	process [A ...]              let these nodes, or all, act once
//	deliver                      hand over what is under way
//	settle                       process and deliver until all is quiet
//	quiet heartbeats|replies|messages|all
//	                             leave these out of the story
//	loud                         tell everything again
//
// Requests
//
//	propose A client-1 SET 5     a client asks a node
//	flood A 20 [bytes=1000]      twenty clients do
//	read A [client]              a client asks for a fresh read
//	add A D                      the operator asks A to let D learn
//	promote A D | remove A D     the operator asks A to change the voters
//	transfer A [B]               the operator asks A to hand over
//	snapshot A [N]               a node takes one, and compacts its log up to the
//	                             last N entries
//
// Faults
//
//	crash A                      what the disk has not finished is lost
//	disk A slow|fast             a slow one keeps Writes back
//	finish A [N]                 it finishes the oldest N, or all
//	wipe A                       the disk is empty, under the old ID
//	log A 1 1 2*100 [term=3]     a disk that holds entries of these terms from
//	                             index 2 on, in the last of these terms or a later
//	damage A 5                   the disk loses the log from entry 5 on
//	keep A | rollback A          the disk comes back with the log that was kept
//	space A plenty|low|full      how much room the disk has
//	tamper A 7                   the value of A becomes 7, against the log
//	stick A                      the state of A can't follow the log any further
//	pause A | resume A           no time passes there, messages wait
//	partition A,B C,D,E          cut the network into groups
//	cut A B | mend A B           cut, and mend, one direction
//	heal                         mend all
//	hold A B [vote ...]          messages from A to B wait; see kindNames
//	release A B [backwards]      they go on, and the next ones pass
//	repeat A B                   copies go on, the messages stay
//	lose A B                     they are lost, and the next ones pass
//
// What is seen
//
//	state                        every node: role, term, vote, log, value
//	followers A                  what a leader knows of the others
//	expect                       sentences on the lines below; see expectation
//
// After each command the cluster is judged; a broken promise fails the test, and
// so does a sentence that isn't true.
func RunScript(t *testing.T, path string) {
	t.Helper()
	var c *Cluster
	var out strings.Builder
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		t.Helper()
		out.Reset()
		if d.Cmd == "cluster" {
			var err error
			if c, err = newScriptCluster(d); err != nil {
				t.Fatalf("%s: %v", d.Pos, err)
			}
			c.Out = &out
			return "ok\n"
		}
		if c == nil {
			t.Fatalf("%s: the script must begin with cluster", d.Pos)
		}
		err := c.command(d)
		if err == nil {
			err = c.judge.verdict()
		}
		if err != nil {
			t.Fatalf("%s: %s: %v\n%s", d.Pos, d.Cmd, err, out.String())
		}
		c.told = append(c.told, out.String()...)
		if out.Len() == 0 {
			return "ok\n"
		}
		return out.String()
	})
}

// A command is what one line of a script does. args are its words without values.
type command struct {
	// words is how many it needs at least.
	words int
	run   func(c *Cluster, d *datadriven.TestData, args []string) error
}

var scriptCommands = map[string]command{
	"timeouts": {1, func(c *Cluster, d *datadriven.TestData, _ []string) error { return c.setTimeouts(d) }},
	"start":    {0, each(func(c *Cluster, n *node) error { return c.Start(n.name) })},
	"process":  {0, each(func(c *Cluster, n *node) error { _, err := c.Process(n); return err })},
	"deliver":  {0, func(c *Cluster, _ *datadriven.TestData, _ []string) error { c.Deliver(); return nil }},
	"settle":   {0, func(c *Cluster, _ *datadriven.TestData, _ []string) error { return c.Settle() }},
	"run":      {1, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.pass(args, true) }},
	"tick":     {1, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.pass(args, false) }},
	"elect":    {1, func(c *Cluster, d *datadriven.TestData, args []string) error { return c.elect(d, args[0]) }},
	"quiet":    {1, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.hush(args[0]) }},
	"loud":     {0, func(c *Cluster, _ *datadriven.TestData, _ []string) error { clear(c.quiet); c.mute = false; return nil }},
	"state":    {0, func(c *Cluster, _ *datadriven.TestData, _ []string) error { return c.writeState() }},
	"expect":   {0, func(c *Cluster, d *datadriven.TestData, _ []string) error { return c.expect(d.Input) }},
	"followers": {1, on(func(c *Cluster, n *node, _ []string) error {
		c.writeFollowers(n)
		return nil
	})},

	"propose": {2, func(c *Cluster, _ *datadriven.TestData, args []string) error {
		return c.Propose(args[0], args[1], strings.Join(args[2:], " "))
	}},
	"flood": {2, (*Cluster).flood},
	"read": {1, func(c *Cluster, _ *datadriven.TestData, args []string) error {
		return c.Read(args[0], word(args, 1, "reader"))
	}},
	"add":      {2, on((*Cluster).addLearner)},
	"promote":  {2, on((*Cluster).promote)},
	"remove":   {2, on((*Cluster).remove)},
	"transfer": {1, on((*Cluster).transfer)},
	"snapshot": {1, on((*Cluster).snapshot)},

	"crash":     {1, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.Crash(args[0]) }},
	"disk":      {2, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.setDisk(args[0], args[1]) }},
	"finish":    {1, on((*Cluster).finish)},
	"wipe":      {1, on((*Cluster).wipe)},
	"log":       {2, (*Cluster).writeLog},
	"damage":    {2, on((*Cluster).damage)},
	"keep":      {1, on((*Cluster).keep)},
	"rollback":  {1, on((*Cluster).rollBack)},
	"space":     {2, on((*Cluster).setSpace)},
	"tamper":    {2, on((*Cluster).tamper)},
	"stick":     {1, on((*Cluster).stick)},
	"pause":     {1, on(func(c *Cluster, n *node, _ []string) error { return c.setPaused(n, true) })},
	"resume":    {1, on(func(c *Cluster, n *node, _ []string) error { return c.setPaused(n, false) })},
	"partition": {1, func(c *Cluster, d *datadriven.TestData, _ []string) error { return c.partition(d) }},
	"cut":       {2, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.cutLink(args, true) }},
	"mend":      {2, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.cutLink(args, false) }},
	"heal":      {0, func(c *Cluster, _ *datadriven.TestData, _ []string) error { return c.healAll() }},
	"hold":      {2, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.holdLink(args) }},
	"release": {2, func(c *Cluster, _ *datadriven.TestData, args []string) error {
		return c.release(args, word(args, 2, ""))
	}},
	"repeat": {2, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.release(args, "again") }},
	"lose":   {2, func(c *Cluster, _ *datadriven.TestData, args []string) error { return c.release(args, "never") }},
}

func (c *Cluster) command(d *datadriven.TestData) error {
	known, ok := scriptCommands[d.Cmd]
	if !ok {
		return errors.New("there is no such command")
	}
	var words []string
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			words = append(words, a.Key)
		}
	}
	if len(d.CmdArgs) < known.words {
		return fmt.Errorf("needs %d words", known.words)
	}
	return known.run(c, d, words)
}

// word returns the word at a position, or a default.
func word(args []string, i int, absent string) string {
	if i < len(args) {
		return args[i]
	}
	return absent
}

// on makes a command of what is done to the node that its first word names.
func on(do func(*Cluster, *node, []string) error) func(*Cluster, *datadriven.TestData, []string) error {
	return func(c *Cluster, _ *datadriven.TestData, args []string) error {
		n, err := c.node(args[0])
		if err != nil {
			return err
		}
		return do(c, n, args[1:])
	}
}

// each makes a command of what is done to the named nodes, or to all.
func each(do func(*Cluster, *node) error) func(*Cluster, *datadriven.TestData, []string) error {
	return func(c *Cluster, _ *datadriven.TestData, args []string) error {
		for _, name := range args {
			if _, err := c.node(name); err != nil {
				return err
			}
		}
		for _, n := range c.nodes {
			if len(args) > 0 && !slices.Contains(args, n.name) {
				continue
			}
			if n.spare && len(args) == 0 {
				continue
			}
			if err := do(c, n); err != nil {
				return err
			}
		}
		return nil
	}
}

func newScriptCluster(d *datadriven.TestData) (*Cluster, error) {
	seed := uint64(1)
	var names, spares []string
	var limits raft.Config
	var every raft.Index
	for _, a := range d.CmdArgs {
		switch {
		case len(a.Vals) == 0:
			names = append(names, a.Key)
			continue
		case a.Key == "spare":
			spares = a.Vals
			continue
		}
		v, err := strconv.Atoi(a.Vals[0])
		if err != nil {
			return nil, err
		}
		if a.Key == "seed" {
			seed = uint64(v)
			continue
		}
		if a.Key == "hashes" {
			every = raft.Index(v)
			continue
		}
		limit, ok := limitNames[a.Key]
		if !ok {
			return nil, fmt.Errorf("there is no limit %q", a.Key)
		}
		*limit(&limits) = v
	}
	c := NewCluster(nil, seed, names...)
	c.limits, c.hashEvery = limits, every
	for _, name := range spares {
		c.addSpare(name, seed)
	}
	return c, nil
}

// limitNames are the limits that a cluster line may set.
var limitNames = map[string]func(*raft.Config) *int{
	"inflight":    func(c *raft.Config) *int { return &c.MaxInflightAppends },
	"append":      func(c *raft.Config) *int { return &c.MaxAppendBytes },
	"command":     func(c *raft.Config) *int { return &c.MaxCommandBytes },
	"uncommitted": func(c *raft.Config) *int { return &c.MaxUncommittedBytes },
	"write":       func(c *raft.Config) *int { return &c.MaxWriteBytes },
	"apply":       func(c *raft.Config) *int { return &c.MaxApplyBytes },
}

func (c *Cluster) setTimeouts(d *datadriven.TestData) error {
	for _, a := range d.CmdArgs {
		n, err := c.node(a.Key)
		if err != nil {
			return err
		}
		n.random.fixed = nil
		for _, v := range a.Vals {
			draw, err := timeoutDraw(v)
			if err != nil {
				return fmt.Errorf("%s: %w", a.Key, err)
			}
			n.random.fixed = append(n.random.fixed, draw)
		}
	}
	return nil
}

// timeoutDraw returns the result of the dice that makes an election timeout of so
// many milliseconds.
func timeoutDraw(text string) (int, error) {
	millis, err := strconv.Atoi(text)
	if err != nil || millis < 150 || millis > 300 || millis%TickMillis != 0 {
		return 0, fmt.Errorf("timeout %q is not a multiple of %d in 150 to 300", text, TickMillis)
	}
	return (millis - 150) / TickMillis, nil
}

// pass lets time pass, on the named nodes or on all; with settle, everything
// happens that follows from it.
func (c *Cluster) pass(args []string, settle bool) error {
	millis, err := strconv.Atoi(strings.TrimSuffix(args[0], "ms"))
	if err != nil || millis <= 0 || millis > 60_000 {
		return fmt.Errorf("time %q is not between 1ms and 60000ms", args[0])
	}
	for range millis / TickMillis {
		c.Tick(args[1:]...)
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
func (c *Cluster) elect(d *datadriven.TestData, name string) error {
	out := c.Out
	c.Out = io.Discard
	defer func() { c.Out = out }()
	for _, a := range d.CmdArgs[1:] {
		n, err := c.node(a.Key)
		if err != nil {
			return err
		}
		draw, err := timeoutDraw(a.Vals[0])
		if err != nil {
			return err
		}
		n.random.then = &draw
	}
	for _, n := range c.nodes {
		n.random.fixed = []int{15, 15, 15}
		if n.name == name {
			n.random.fixed = []int{0, 0, 0}
		}
		if n.core == nil && !n.spare {
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
		if err := c.pass([]string{"10ms"}, true); err != nil {
			return err
		}
		if s := leader.core.Status(); s.Role == raft.Leader && s.Committed == s.Last {
			for _, n := range c.nodes {
				n.random.fixed, n.random.then = nil, nil
			}
			fmt.Fprintf(out, "%5d ms  %s leads term %d\n", c.millis, name, s.Term)
			return nil
		}
	}
	return fmt.Errorf("%s does not lead after %d ms", name, limit*TickMillis)
}
