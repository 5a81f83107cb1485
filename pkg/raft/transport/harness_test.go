package transport_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen. It is a limit, not
// an expectation.
const patience = 20 * time.Second

// directory knows where members are, as a membership does.
type directory struct {
	mu      sync.Mutex
	members map[raft.MemberID]raft.Member
}

func newDirectory() *directory { return &directory{members: make(map[raft.MemberID]raft.Member)} }

func (d *directory) set(id raft.MemberID, address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.members[id] = raft.Member{ID: id, Name: nameOf(id), Address: address}
}

func (d *directory) resolve(id raft.MemberID) (raft.Member, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.members[id]
	return m, ok
}

func nameOf(id raft.MemberID) string { return fmt.Sprintf("node-%d", uint64(id)) }

// logBuffer keeps what a node logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) count(part string) int { return strings.Count(b.String(), part) }

// node is a transport with an inbox.
type node struct {
	*transport.Transport
	id    raft.MemberID
	inbox chan raft.Message
	log   *logBuffer
}

// start starts a node and enters it in the directory. change may adjust its
// options.
func start(t *testing.T, d *directory, id raft.MemberID, change func(*transport.Options)) *node {
	t.Helper()
	n := &node{id: id, inbox: make(chan raft.Message, 100_000), log: new(logBuffer)}
	o := transport.Options{
		Member: id, ClusterID: "cluster", Boot: uint64(id) * 10, Name: nameOf(id),
		ListenAddress: "127.0.0.1:0",
		Resolve:       d.resolve,
		Receive:       func(m raft.Message) { n.inbox <- m },
		BackoffMin:    time.Millisecond, BackoffMax: 20 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(n.log, nil)),
	}
	if change != nil {
		change(&o)
	}
	var err error
	if n.Transport, err = transport.Listen(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	d.set(id, n.Address().String())
	return n
}

// next returns the next message that arrives at n.
func (n *node) next(t *testing.T) raft.Message {
	t.Helper()
	select {
	case m := <-n.inbox:
		return m
	case <-time.After(patience):
		t.Fatalf("no message reached %v; its log:\n%s", n.id, n.log)
		return raft.Message{}
	}
}

// peer returns n's counters for one peer.
func (n *node) peer(id raft.MemberID) transport.PeerStats {
	for _, p := range n.Stats().Peers {
		if p.Member == id {
			return p
		}
	}
	return transport.PeerStats{}
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// deliver sends heartbeats from a to b until one arrives: each single message
// may be lost. It returns the one that did.
func deliver(t *testing.T, a, b *node) raft.Message {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		a.Send([]raft.Message{heartbeat(a, b, 0)})
		select {
		case m := <-b.inbox:
			if m.From == a.id {
				return m
			}
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing gets from %v to %v; the sender's log:\n%s", a.id, b.id, a.log)
		}
	}
}

func heartbeat(from, to *node, round uint64) raft.Message {
	return raft.Message{Kind: raft.KindHeartbeat, From: from.id, To: to.id, Term: 1, Round: round}
}

func appendTo(from, to *node, index uint64, data []byte) raft.Message {
	return raft.Message{
		Kind: raft.KindAppendEntries, From: from.id, To: to.id, Term: 1, LogIndex: raft.Index(index - 1),
		Entries: []raft.Entry{{Index: raft.Index(index), Term: 1, Kind: raft.EntryCommand, Data: data}},
	}
}

// proxy stands between nodes and can cut, stall or damage what passes.
type proxy struct {
	listener net.Listener
	group    sync.WaitGroup

	mu     sync.Mutex
	target string
	filter func([]byte) []byte // nil result: the connection is cut
	conns  map[net.Conn]bool
	closed bool
}

// startProxy starts a proxy to target. filter sees each piece that passes
// towards the target.
func startProxy(t *testing.T, target string, filter func([]byte) []byte) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, filter: filter, conns: make(map[net.Conn]bool)}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.group.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target, filter, closed := p.target, p.filter, p.closed
		p.mu.Unlock()
		far, err := net.Dial("tcp", target)
		if err != nil || closed {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			continue
		}
		p.mu.Lock()
		p.conns[near], p.conns[far] = true, true
		p.mu.Unlock()
		p.group.Go(func() { p.pump(far, near, filter) })
		p.group.Go(func() { p.pump(near, far, nil) })
	}
}

// pump copies from one side to the other until one of them is closed.
func (p *proxy) pump(to, from net.Conn, filter func([]byte) []byte) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		data := buffer[:n]
		if filter != nil && n > 0 {
			if data = filter(data); data == nil {
				return
			}
		}
		if _, writeErr := to.Write(data); err != nil || writeErr != nil {
			return
		}
	}
}

// cut breaks all connections; new ones are refused until mend.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
}

// closer is a reader with a Close that is counted.
type closer struct {
	io.Reader
	closed func()
}

func (c closer) Close() error { c.closed(); return nil }
