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
	// cut holds the links, from and to, that lose everything, and holds those
	// that keep messages back in held.
	cut   map[[2]raft.MemberID]bool
	holds []hold
	held  []raft.Message
	// quiet kinds travel without being written about.
	quiet map[raft.MessageKind]bool
	// mute leaves everything out of the story.
	mute   bool
	millis int
	// limits are those of every node's configuration.
	limits raft.Config
	judge  judge
	// told is the story since the last expectation.
	told []byte
	// hashEvery is the distance of the indexes at which states are compared, 0 for never.
	hashEvery raft.Index
	// clients counts proposals, to give each an ID, and boots the starts of nodes.
	clients uint64
	boots   uint64
}

// node is one member: a core, its disk and its state machine, a register per
// cluster whose commands are "SET value".
type node struct {
	name string
	id   raft.MemberID
	// spare nodes are not part of the first configuration.
	spare   bool
	core    *raft.Raft
	disk    *disk
	random  *dice
	value   string
	applied raft.Index
	// tampered tells that the value is not what the log makes of it.
	tampered bool
	role     raft.Role
	leader   raft.MemberID
	waiting  []waiter
	// outcomes is what clients were told.
	outcomes map[string]string
	// heldBack are Writes that a slow disk has not finished, and behind is what
	// has to be applied after a snapshot among them.
	slowDisk bool
	heldBack []*raft.Write
	behind   []raft.Entry
	// paused nodes neither see time pass nor take messages.
	paused bool
}

// waiter is a client that was told where its proposal was placed.
type waiter struct {
	client string
	id     raft.RequestID
	index  raft.Index
	term   raft.Term
}

// dice is a random source whose next results can be set, and those after them.
type dice struct {
	fixed []int
	// then, unless nil, is every result once there is no fixed one.
	then *int
	rest *rand.Rand
}

// IntN returns the next fixed result, or a random one.
func (d *dice) IntN(n int) int {
	if len(d.fixed) == 0 {
		if d.then != nil {
			return min(*d.then, n-1)
		}
		return d.rest.IntN(n)
	}
	v := d.fixed[0]
	d.fixed = d.fixed[1:]
	return min(v, n-1)
}

// NewCluster returns a cluster of voters with the given names.
func NewCluster(out io.Writer, seed uint64, names ...string) *Cluster {
	c := &Cluster{Out: out, cut: map[[2]raft.MemberID]bool{}, quiet: map[raft.MessageKind]bool{}, judge: newJudge()}
	var members []raft.Member
	for _, name := range names {
		n := c.addNode(name, seed)
		members = append(members, raft.Member{ID: n.id, Name: name, Address: name})
	}
	membership := raft.NewMembership(members...)
	for _, n := range c.nodes {
		n.disk.entries = []raft.Entry{{Index: 1, Kind: raft.EntryMembership, Membership: &membership}}
	}
	return c
}

func (c *Cluster) addNode(name string, seed uint64) *node {
	id := raft.MemberID(len(c.nodes) + 1)
	n := &node{
		name: name, id: id, disk: &disk{},
		random: &dice{rest: rand.New(rand.NewPCG(seed, uint64(id)))}, outcomes: map[string]string{},
	}
	c.nodes = append(c.nodes, n)
	return n
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
	config := c.limits
	config.ID, config.Boot, config.Random, config.Log = n.id, c.boots, n.random, n.disk
	n.core, err = raft.New(config, n.disk.state())
	if err != nil {
		return err
	}
	n.core.SetSpace(n.disk.space)
	n.value, n.applied, n.role, n.leader = n.disk.value, n.disk.snapshot.Index, raft.Follower, raft.NoMember
	n.tampered = n.disk.tampered
	c.drain(n)
	s := n.core.Status()
	c.say("%s starts as %s in term %d, election timeout %d ms", n.name, s.Role, s.Term, s.TimeoutTicks*TickMillis)
	return nil
}

// drain applies what the disk is known to hold of the committed log.
func (c *Cluster) drain(n *node) {
	for n.core.HasReady(true) {
		ready, _ := n.core.Ready(true)
		for i := range ready.Committed {
			c.judge.next(n, &ready.Committed[i])
			n.apply(&ready.Committed[i])
			c.hash(n)
		}
		c.sendAll(ready.Messages)
		n.core.Applied(n.applied)
	}
}

// Crash stops a node at once. What its disk has not finished is lost.
func (c *Cluster) Crash(name string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	n.core, n.heldBack, n.behind, n.waiting, n.paused = nil, nil, nil, nil, false
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
	if !c.mute {
		fmt.Fprintf(c.Out, "%5d ms  %s\n", c.millis, fmt.Sprintf(format, args...))
	}
}

// Tick lets one tick pass on every running node, or on those named.
func (c *Cluster) Tick(names ...string) {
	c.millis += TickMillis
	for _, n := range c.nodes {
		if n.core != nil && !n.paused && (len(names) == 0 || slices.Contains(names, n.name)) {
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
	if s.Role == raft.Leader {
		c.judge.led(n, s.Term)
	}
}

// Process does what one node wants done, and tells whether there was anything.
func (c *Cluster) Process(n *node) (bool, error) {
	if n.core == nil || n.paused || !n.core.HasReady(true) {
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
	n.behind = append(n.behind, ready.Committed...)
	c.applyBehind(n)
	for _, result := range ready.Results {
		c.placed(n, result)
	}
	for _, read := range ready.Reads {
		c.resolveRead(n, read)
	}
	c.noteRole(n)
	return true, c.snapshotIfWanted(n)
}

// FinishWrites makes a node's outstanding Writes durable.
func (c *Cluster) FinishWrites(n *node) { c.finishWrites(n, len(n.heldBack)) }

// finishWrites makes the oldest outstanding Writes durable.
func (c *Cluster) finishWrites(n *node, count int) {
	for _, w := range n.heldBack[:count] {
		n.heldBack = n.heldBack[1:]
		c.judge.saving(n, w)
		n.disk.save(w)
		if text := writeText(c, w); text != "" {
			c.say("%s saves %s", n.name, text)
		}
		if w.Snapshot != nil {
			n.value, n.applied, n.tampered = n.disk.value, w.Snapshot.Index, false
			n.core.Applied(n.applied)
		}
		c.sendAll(w.Messages)
		n.core.Saved(w.ID)
		c.noteRole(n)
	}
}

// applyBehind applies what is committed, unless it has to wait for a snapshot
// that is not durable yet.
func (c *Cluster) applyBehind(n *node) {
	if slices.ContainsFunc(n.heldBack, func(w *raft.Write) bool { return w.Snapshot != nil }) {
		return
	}
	for i := range n.behind {
		c.applyEntry(n, &n.behind[i])
	}
	n.behind = nil
	n.core.Applied(n.applied)
}

// applyEntry applies a committed entry and answers the client that waits.
func (c *Cluster) applyEntry(n *node, e *raft.Entry) {
	c.judge.next(n, e)
	n.apply(e)
	switch e.Kind {
	case raft.EntryCommand:
		c.say("%s commits and applies entry %d: %s", n.name, e.Index, commandText(e.Data))
	case raft.EntryNoOp:
		c.say("%s commits entry %d, which opened term %d", n.name, e.Index, e.Term)
	case raft.EntryMembership:
		c.say("%s commits entry %d: %s", n.name, e.Index, membershipText(e.Membership))
	}
	c.judge.applied(c.nodes, n, e)
	c.hash(n)
	n.waiting = slices.DeleteFunc(n.waiting, func(w waiter) bool {
		if w.index != e.Index {
			return false
		}
		if w.term == e.Term {
			c.answer(n, w.client, "done")
		} else {
			c.answer(n, w.client, "not done, another entry took its place")
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
		c.answer(n, w.client, "refused, "+result.Reason.String())
		n.waiting = slices.Delete(n.waiting, i, i+1)
		return
	}
	if result.Index == 0 {
		c.answer(n, w.client, fmt.Sprintf("handed over to term %d", result.Term))
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
	c.say("%s asks %s: %s", client, name, command)
	n.core.Propose(raft.Proposal{ID: c.await(n, client), Data: []byte(command)})
	return nil
}

// await notes that a client waits for a node, and returns its request's ID.
func (c *Cluster) await(n *node, client string) raft.RequestID {
	c.clients++
	id := raft.RequestID{Boot: uint64(n.id), Sequence: c.clients}
	n.waiting = append(n.waiting, waiter{client: client, id: id})
	delete(n.outcomes, client)
	return id
}

// answer tells a client what became of its request.
func (c *Cluster) answer(n *node, client, outcome string) {
	n.outcomes[client] = outcome
	c.say("%s answers %s: %s", n.name, client, outcome)
}

// Read asks a node for a read barrier on behalf of a client.
func (c *Cluster) Read(name, client string) error {
	n, err := c.node(name)
	if err != nil {
		return err
	}
	if n.core == nil {
		return fmt.Errorf("%s does not run", name)
	}
	c.say("a client asks %s for a fresh read", name)
	n.core.ReadIndex(c.await(n, client))
	return nil
}

// resolveRead notes what became of a read barrier.
func (c *Cluster) resolveRead(n *node, read raft.ReadResult) {
	i := slices.IndexFunc(n.waiting, func(w waiter) bool { return w.id == read.ID })
	if i < 0 {
		return
	}
	client := n.waiting[i].client
	n.waiting = slices.Delete(n.waiting, i, i+1)
	if read.Reason != raft.ReasonNone {
		c.answer(n, client, "refused, "+read.Reason.String())
		return
	}
	c.answer(n, client, fmt.Sprintf("read at index %d", read.Index))
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
