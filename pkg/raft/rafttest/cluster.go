package rafttest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// TickMillis is how much virtual time one tick stands for.
const TickMillis = 10

// Cluster is a set of cores on virtual time, with a network and disks that do
// what a script says. What happens is written to Out, one event a line.
type Cluster struct {
	Out   io.Writer
	nodes []*node
	// wire holds the messages under way, in the order in which they were sent.
	wire []raft.Message
	// cut holds the links, from and to, that lose everything.
	cut map[[2]raft.MemberID]bool
	// quiet kinds travel without being written about.
	quiet  map[raft.MessageKind]bool
	millis int
	// clients counts proposals, to give each an ID, and boots the starts of nodes.
	clients uint64
	boots   uint64
}

// node is one member: a core, its disk and its state machine, a register per
// cluster whose commands are "SET value".
type node struct {
	name    string
	id      raft.MemberID
	core    *raft.Raft
	disk    *disk
	random  *dice
	value   string
	applied raft.Index
	role    raft.Role
	leader  raft.MemberID
	waiting []waiter
	// heldBack are Writes that a slow disk has not finished.
	slowDisk bool
	heldBack []*raft.Write
}

// waiter is a client that was told where its proposal was placed.
type waiter struct {
	client string
	id     raft.RequestID
	index  raft.Index
	term   raft.Term
}

// dice is a random source whose next results can be set.
type dice struct {
	fixed []int
	rest  *rand.Rand
}

// IntN returns the next fixed result, or a random one.
func (d *dice) IntN(n int) int {
	if len(d.fixed) == 0 {
		return d.rest.IntN(n)
	}
	v := d.fixed[0]
	d.fixed = d.fixed[1:]
	return min(v, n-1)
}

// NewCluster returns a cluster of voters with the given names.
func NewCluster(out io.Writer, seed uint64, names ...string) *Cluster {
	c := &Cluster{Out: out, cut: map[[2]raft.MemberID]bool{}, quiet: map[raft.MessageKind]bool{}}
	var members []raft.Member
	for i, name := range names {
		id := raft.MemberID(i + 1)
		members = append(members, raft.Member{ID: id, Name: name, Address: name})
		c.nodes = append(c.nodes, &node{
			name: name, id: id, disk: &disk{},
			random: &dice{rest: rand.New(rand.NewPCG(seed, uint64(id)))},
		})
	}
	membership := raft.NewMembership(members...)
	for _, n := range c.nodes {
		n.disk.entries = []raft.Entry{{Index: 1, Kind: raft.EntryMembership, Membership: &membership}}
	}
	return c
}

// Start starts a node from its disk.
func (c *Cluster) Start(name string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	if n.core != nil {
		return fmt.Errorf("%s runs already", name)
	}
	c.boots++
	n.core, err = raft.New(raft.Config{ID: n.id, Boot: c.boots, Random: n.random, Log: n.disk}, n.disk.state())
	if err != nil {
		return err
	}
	n.value, n.applied, n.role, n.leader = "", 0, raft.Follower, raft.NoMember
	n.drain()
	s := n.core.Status()
	c.say("%s starts as %s in term %d, election timeout %d ms", n.name, s.Role, s.Term, s.TimeoutTicks*TickMillis)
	return nil
}

// drain takes the first Ready, which only applies the first configuration.
func (n *node) drain() {
	ready, _ := n.core.Ready(true)
	for _, e := range ready.Committed {
		n.apply(&e)
	}
	n.core.Applied(n.applied)
}

// Crash stops a node at once. What its disk has not finished is lost.
func (c *Cluster) Crash(name string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	n.core, n.heldBack, n.waiting = nil, nil, nil
	c.say("%s crashes", name)
	return nil
}

func (c *Cluster) node(name string) (*node, error) {
	i := slices.IndexFunc(c.nodes, func(n *node) bool { return n.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no node is named %q", name)
	}
	return c.nodes[i], nil
}

func (c *Cluster) byID(id raft.MemberID) *node {
	return c.nodes[id-1]
}

func (c *Cluster) nameOf(id raft.MemberID) string {
	if id == raft.NoMember {
		return "nobody"
	}
	return c.byID(id).name
}

// say writes one event with its virtual time.
func (c *Cluster) say(format string, args ...any) {
	fmt.Fprintf(c.Out, "%5d ms  %s\n", c.millis, fmt.Sprintf(format, args...))
}

// Tick lets one tick pass on every running node.
func (c *Cluster) Tick() {
	c.millis += TickMillis
	for _, n := range c.nodes {
		if n.core != nil {
			n.core.Tick()
			c.noteRole(n)
		}
	}
}

// noteRole writes about a change of role or leader.
func (c *Cluster) noteRole(n *node) {
	s := n.core.Status()
	if s.Role != n.role {
		switch s.Role {
		case raft.PreCandidate:
			c.say("%s hears no leader for its timeout: it becomes PreCandidate and asks who would vote for it", n.name)
		case raft.Candidate:
			c.say("%s becomes Candidate in term %d and votes for itself", n.name, s.Term)
		case raft.Leader:
			c.say("%s becomes Leader of term %d", n.name, s.Term)
		case raft.Follower:
			c.say("%s becomes Follower in term %d, election timeout %d ms", n.name, s.Term, s.TimeoutTicks*TickMillis)
		}
	}
	if s.Leader != n.leader && s.Leader != raft.NoMember && s.Leader != n.id {
		c.say("%s follows %s in term %d", n.name, c.nameOf(s.Leader), s.Term)
	}
	n.role, n.leader = s.Role, s.Leader
}

// Process does what one node wants done, and tells whether there was anything.
func (c *Cluster) Process(n *node) (bool, error) {
	if n.core == nil || !n.core.HasReady(true) {
		return false, nil
	}
	ready, err := n.core.Ready(true)
	if err != nil {
		return false, err
	}
	c.sendAll(ready.Messages)
	if ready.Write != nil {
		n.heldBack = append(n.heldBack, ready.Write)
		if !n.slowDisk {
			c.FinishWrites(n)
		}
	}
	for i := range ready.Committed {
		c.applyEntry(n, &ready.Committed[i])
	}
	n.core.Applied(n.applied)
	for _, result := range ready.Results {
		c.placed(n, result)
	}
	for _, read := range ready.Reads {
		c.say("%s may read at index %d: %s", n.name, read.Index, read.Reason)
	}
	c.noteRole(n)
	return true, nil
}

// FinishWrites makes a node's outstanding Writes durable.
func (c *Cluster) FinishWrites(n *node) {
	for _, w := range n.heldBack {
		n.disk.save(w)
		if text := writeText(c, w); text != "" {
			c.say("%s saves %s", n.name, text)
		}
		c.sendAll(w.Messages)
		n.core.Saved(w.ID)
		c.noteRole(n)
	}
	n.heldBack = nil
}

// applyEntry applies a committed entry and answers the client that waits.
func (c *Cluster) applyEntry(n *node, e *raft.Entry) {
	n.apply(e)
	switch e.Kind {
	case raft.EntryCommand:
		c.say("%s commits and applies entry %d: %s", n.name, e.Index, e.Data)
	case raft.EntryNoOp:
		c.say("%s commits entry %d, which opened term %d", n.name, e.Index, e.Term)
	}
	n.waiting = slices.DeleteFunc(n.waiting, func(w waiter) bool {
		if w.index != e.Index {
			return false
		}
		if w.term == e.Term {
			c.say("%s answers %s: done", n.name, w.client)
		} else {
			c.say("%s answers %s: not done, another entry took its place", n.name, w.client)
		}
		return true
	})
}

func (n *node) apply(e *raft.Entry) {
	if value, ok := strings.CutPrefix(string(e.Data), "SET "); ok {
		n.value = value
	}
	n.applied = e.Index
}

// placed notes where a client's proposal went.
func (c *Cluster) placed(n *node, result raft.ProposalResult) {
	i := slices.IndexFunc(n.waiting, func(w waiter) bool { return w.id == result.ID })
	if i < 0 {
		return
	}
	w := &n.waiting[i]
	if result.Reason != raft.ReasonNone {
		c.say("%s answers %s: refused, %s", n.name, w.client, result.Reason)
		n.waiting = slices.Delete(n.waiting, i, i+1)
		return
	}
	w.index, w.term = result.Index, result.Term
	leader, _ := n.core.Leader()
	c.say("%s's change is entry %d of term %d in the log of %s, uncommitted", w.client, w.index, w.term, c.nameOf(leader))
}

// Propose hands a client's command to a node.
func (c *Cluster) Propose(name, client, command string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	if n.core == nil {
		return fmt.Errorf("%s does not run", name)
	}
	c.clients++
	id := raft.RequestID{Boot: uint64(n.id), Sequence: c.clients}
	n.waiting = append(n.waiting, waiter{client: client, id: id})
	c.say("%s asks %s: %s", client, name, command)
	n.core.Propose(raft.Proposal{ID: id, Data: []byte(command)})
	return nil
}

// Read asks a node for a read barrier.
func (c *Cluster) Read(name string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	c.clients++
	c.say("a client asks %s for a fresh read", name)
	n.core.ReadIndex(raft.RequestID{Boot: uint64(n.id), Sequence: c.clients})
	return nil
}

// Deliver hands over all messages under way, and tells whether there were any.
func (c *Cluster) Deliver() bool {
	batch := c.wire
	c.wire = nil
	for _, m := range batch {
		n := c.byID(m.To)
		if n.core == nil || c.cut[[2]raft.MemberID{m.From, m.To}] {
			continue
		}
		n.core.Step(m)
		c.noteRole(n)
	}
	return len(batch) > 0
}

// Settle processes and delivers until nothing happens any more.
func (c *Cluster) Settle() error {
	const limit = 1000
	for range limit {
		busy := false
		for _, n := range c.nodes {
			did, err := c.Process(n)
			if err != nil {
				return err
			}
			busy = busy || did
		}
		if !c.Deliver() && !busy {
			return nil
		}
	}
	return fmt.Errorf("still busy after %d rounds", limit)
}

// sendAll puts messages on the wire; those on a cut link or to a node that is
// down are lost at once.
func (c *Cluster) sendAll(messages []raft.Message) {
	for _, m := range messages {
		lost := ""
		if c.byID(m.To).core == nil || c.cut[[2]raft.MemberID{m.From, m.To}] {
			lost = "  (lost)"
		}
		if !c.quiet[m.Kind] {
			c.say("%s -> %s  %s%s", c.nameOf(m.From), c.nameOf(m.To), messageText(&m), lost)
		}
		if lost == "" {
			c.wire = append(c.wire, m)
		}
	}
}
