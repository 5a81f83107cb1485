package transport_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// listen returns a listener on loopback and its address.
func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Addr().String()
}

// slowDial makes dialling wait until it is released.
func slowDial(release <-chan struct{}) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		select {
		case <-release:
			return new(net.Dialer).DialContext(ctx, network, address)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func TestFullQueuesDropByTheirRule(t *testing.T) {
	d := newDirectory()
	release := make(chan struct{})
	a := start(t, d, 1, func(o *transport.Options) {
		o.Dial, o.QueueMessages, o.HandshakeTimeout = slowDial(release), 4, time.Minute
	})
	b := start(t, d, 2, nil)
	send := func(i uint64) { a.Send([]raft.Message{heartbeat(a, b, i), appendTo(a, b, i, nil)}) }
	// The first ones are taken by the goroutines that dial.
	send(1)
	eventually(t, "both are taken", func() bool { return a.peer(2).QueuedMessages == 0 })
	for i := uint64(2); i <= 11; i++ {
		send(i)
	}
	if s := a.peer(2); s.DroppedFull != 12 || s.QueuedMessages != 8 {
		t.Fatalf("ten messages a queue of four: %+v", s)
	}
	close(release)
	var rounds, indexes []uint64
	for range 10 {
		if m := b.next(t); m.Kind == raft.KindHeartbeat {
			rounds = append(rounds, m.Round)
		} else {
			indexes = append(indexes, uint64(m.LogIndex)+1)
		}
	}
	checkNumbers(t, "heartbeats, oldest dropped", rounds, 1, 8, 9, 10, 11)
	checkNumbers(t, "appends, newest dropped", indexes, 1, 2, 3, 4, 5)
}

func TestQueuesAreLimitedByBytesToo(t *testing.T) {
	d := newDirectory()
	release := make(chan struct{})
	a := start(t, d, 1, func(o *transport.Options) {
		o.Dial, o.QueueBytes, o.HandshakeTimeout = slowDial(release), 10_000, time.Minute
	})
	b := start(t, d, 2, nil)
	a.Send([]raft.Message{appendTo(a, b, 1, nil)})
	eventually(t, "it is taken", func() bool { return a.peer(2).QueuedMessages == 0 })
	for i := uint64(2); i <= 5; i++ {
		a.Send([]raft.Message{appendTo(a, b, i, make([]byte, 4_000))})
	}
	if s := a.peer(2); s.DroppedFull != 2 || s.QueuedMessages != 2 || s.QueuedBytes > 10_000 || s.QueuedBytes < 8_000 {
		t.Errorf("four times 4,000 bytes in a queue of 10,000: %+v", s)
	}
	close(release)
	for range 3 {
		b.next(t)
	}
}

func TestWhatWaitsForAnUnreachablePeerIsDropped(t *testing.T) {
	d := newDirectory()
	release := make(chan struct{})
	var dials atomic.Int64
	a := start(t, d, 1, func(o *transport.Options) {
		o.HandshakeTimeout = time.Minute
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			<-release
			return nil, errors.New("no route")
		}
	})
	b := start(t, d, 2, nil)
	a.Send([]raft.Message{heartbeat(a, b, 1)})
	eventually(t, "it is dialled", func() bool { return dials.Load() == 1 })
	for i := range uint64(9) {
		a.Send([]raft.Message{heartbeat(a, b, i)})
	}
	close(release)
	eventually(t, "all are dropped", func() bool { return a.peer(2).DroppedUnreachable == 10 })
	if n := dials.Load(); n != 1 {
		t.Errorf("%d dials, want 1: what waited meanwhile is old", n)
	}
}

func checkNumbers(t *testing.T, what string, got []uint64, want ...uint64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: got %v, want %v", what, got, want)
			return
		}
	}
}

// startDeaf starts a peer that completes each handshake and reads nothing
// after it.
func startDeaf(t *testing.T, d *directory, id raft.MemberID) *atomic.Int64 {
	t.Helper()
	l, address := listen(t)
	d.set(id, address)
	accepted := new(atomic.Int64)
	done := make(chan struct{})
	var conns []net.Conn
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
			f, err := wire.NewReader(conn, wire.MaxHelloBytes).Next()
			if err != nil {
				continue
			}
			if _, err := f.Hello(); err == nil {
				_ = wire.NewWriter(conn).WriteWelcome(&wire.Welcome{Protocol: 1, ClusterID: "cluster", Member: id})
				accepted.Add(1)
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return accepted
}

func TestStalledPeerDoesNotHoldUpOthers(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, func(o *transport.Options) { o.QueueBytes = 4 << 20 })
	b := start(t, d, 2, nil)
	startDeaf(t, d, 3)
	deaf := &node{id: 3}
	data := make([]byte, 1<<20)
	for i := uint64(1); i <= 64; i++ {
		a.Send([]raft.Message{appendTo(a, deaf, i, data), heartbeat(a, deaf, i), heartbeat(a, b, i)})
	}
	for i := uint64(1); i <= 64; i++ {
		if m := b.next(t); m.Round != i {
			t.Fatalf("heartbeat %d came as number %d", m.Round, i)
		}
	}
	if s := a.peer(3); s.DroppedFull == 0 {
		t.Errorf("64 MiB for a peer that doesn't read, and nothing was dropped: %+v", s)
	}
}

func TestSilentPeerIsGivenUpAndDialledAgain(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, func(o *transport.Options) { o.PeerTimeout = 30 * time.Millisecond })
	accepted := startDeaf(t, d, 3)
	deaf := &node{id: 3}
	eventually(t, "a second connection", func() bool {
		a.Send([]raft.Message{heartbeat(a, deaf, 1)})
		return accepted.Load() >= 2
	})
	if a.log.count("peer is silent") == 0 {
		t.Errorf("the reason is not logged:\n%s", a.log)
	}
}

func TestCutLinkHealsOnBothSides(t *testing.T) {
	d := newDirectory()
	a, b, c := start(t, d, 1, nil), start(t, d, 2, nil), start(t, d, 3, nil)
	link := startProxy(t, b.Address().String(), nil)
	d.set(2, link.address())
	deliver(t, a, b)
	link.cut()
	eventually(t, "the cut is noticed", func() bool { return !a.peer(2).Connected })
	for len(b.inbox) > 0 {
		<-b.inbox
	}
	before := a.peer(2).DroppedUnreachable
	a.Send([]raft.Message{heartbeat(a, b, 1)})
	eventually(t, "a message is lost", func() bool { return a.peer(2).DroppedUnreachable > before })
	deliver(t, a, c)
	deliver(t, b, a)
	if len(b.inbox) > 0 {
		t.Error("a message passed the cut")
	}
	link.mend()
	deliver(t, a, b)
}
