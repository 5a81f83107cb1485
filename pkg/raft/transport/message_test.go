package transport_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
)

func TestMessagesArriveIntact(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	want := appendTo(a, b, 7, []byte("command"))
	want.Commit, want.LogTerm = 6, 1
	a.Send([]raft.Message{want})
	if got := b.next(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMessagesOfOneConnectionKeepTheirOrder(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	const n = 2000
	for i := uint64(1); i <= n; i++ {
		a.Send([]raft.Message{heartbeat(a, b, i), appendTo(a, b, i, []byte("x"))})
	}
	var round, index uint64
	for range 2 * n {
		m := b.next(t)
		next, got := &round, m.Round
		if m.Kind == raft.KindAppendEntries {
			next, got = &index, uint64(m.LogIndex)+1
		}
		if *next++; got != *next {
			t.Fatalf("message %d of kind %d came as number %d", got, m.Kind, *next)
		}
	}
}

func TestOneBatchGoesToSeveralPeers(t *testing.T) {
	d := newDirectory()
	a, b, c := start(t, d, 1, nil), start(t, d, 2, nil), start(t, d, 3, nil)
	toB := appendTo(a, b, 1, []byte("shared"))
	toC := toB
	toC.To, toC.Commit = c.id, 1
	a.Send([]raft.Message{toB, toC})
	if got := b.next(t); !reflect.DeepEqual(got, toB) {
		t.Errorf("got %+v, want %+v", got, toB)
	}
	if got := c.next(t); !reflect.DeepEqual(got, toC) {
		t.Errorf("got %+v, want %+v", got, toC)
	}
}

func TestRestartedPeerIsReachedAgain(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	deliver(t, a, b)
	b.Close()
	eventually(t, "the loss is noticed", func() bool { return !a.peer(2).Connected })
	deliver(t, a, start(t, d, 2, nil))
	if n := a.peer(2).Connects; n < 2 {
		t.Errorf("%d connections were made, want a second one", n)
	}
}

func TestAddressIsLookedUpAtEachDial(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	d.set(2, "127.0.0.1:1")
	a.Send([]raft.Message{heartbeat(a, b, 1)})
	eventually(t, "dialling fails", func() bool { return a.peer(2).DroppedUnreachable > 0 })
	d.set(2, b.Address().String())
	deliver(t, a, b)
}

func TestAMemberThatIsBackIsDialledAtOnce(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, func(o *transport.Options) { o.BackoffMin, o.BackoffMax = time.Hour, time.Hour })
	b := start(t, d, 2, nil)
	d.set(2, "127.0.0.1:1")
	a.Send([]raft.Message{heartbeat(a, b, 1)})
	eventually(t, "dialling fails", func() bool { return a.peer(2).DroppedUnreachable > 0 })
	d.set(2, b.Address().String())
	a.Send([]raft.Message{heartbeat(a, b, 2)})
	deliver(t, b, a)
	if m := b.next(t); m.Round != 2 {
		t.Errorf("got heartbeat %d, want the one that waited", m.Round)
	}
}

func TestUnreachablePeerIsLoggedOnce(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	d.set(2, "127.0.0.1:1")
	for range 5 {
		before := a.peer(2).DroppedUnreachable
		a.Send([]raft.Message{heartbeat(a, b, 1)})
		eventually(t, "another attempt fails", func() bool { return a.peer(2).DroppedUnreachable > before })
	}
	if n := a.log.count("peer unreachable"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, a.log)
	}
	d.set(2, b.Address().String())
	deliver(t, a, b)
	if n := a.log.count("peer connected"); n != 1 {
		t.Errorf("%d lines tell that it is back, want 1", n)
	}
}

func TestMemberIsAnsweredBeforeItsMembershipArrives(t *testing.T) {
	known, empty := newDirectory(), newDirectory()
	b := start(t, empty, 2, nil)
	known.set(2, b.Address().String())
	a := start(t, known, 1, func(o *transport.Options) {
		o.Listener, o.Address = listen(t)
		o.ListenAddress = ""
	})
	empty.mu.Lock()
	clear(empty.members)
	empty.mu.Unlock()
	deliver(t, a, b)
	deliver(t, b, a)
}

func TestMessagesToNobodyAreCountedAndDropped(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, nil)
	a.Send([]raft.Message{
		{Kind: raft.KindHeartbeat, From: 1, To: raft.NoMember},
		{Kind: raft.KindHeartbeat, From: 1, To: 1},
		{Kind: raft.KindInstallSnapshot, From: 1, To: 2},
		{Kind: raft.KindHeartbeat, From: 1, To: 9},
	})
	if n := a.Stats().Undelivered; n != 3 {
		t.Errorf("%d undelivered, want 3", n)
	}
	eventually(t, "a member without an address is given up", func() bool { return a.peer(9).DroppedUnreachable == 1 })
}

func TestIdleConnectionsAreClosedAndReopened(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, func(o *transport.Options) { o.IdleTimeout = 10 * time.Millisecond })
	b := start(t, d, 2, nil)
	deliver(t, a, b)
	eventually(t, "the connection is closed", func() bool { return b.Stats().Connections == 0 })
	if a.peer(2).Connected {
		t.Error("the dialling side still calls it connected")
	}
	if n := a.log.count("unreachable"); n != 0 {
		t.Errorf("an idle connection was reported as a failure:\n%s", a.log)
	}
	deliver(t, a, b)
}

func TestKeepOpenConnectsWithoutAMessageAndAgainAfterAMove(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, nil)
	b := start(t, d, 2, nil)
	keep := func() transport.PeerStats {
		a.KeepOpen([]raft.MemberID{1, 2})
		return a.peer(2)
	}
	eventually(t, "the connection stands", func() bool { return keep().Connected })
	eventually(t, "the ping is answered", func() bool { return keep().RoundTrip > 0 })
	if s := keep(); s.Connects != 1 || s.Sent != 0 || s.QueuedMessages != 0 {
		t.Errorf("one connection and no message are counted as %+v", s)
	}
	b.Close()
	eventually(t, "the end is noticed", func() bool { return !keep().Connected })
	if s := a.peer(2); s.DroppedUnreachable != 0 {
		t.Errorf("%d messages are counted as dropped where none was sent", s.DroppedUnreachable)
	}
	b = start(t, d, 2, nil)
	eventually(t, "the connection stands again", func() bool { return keep().Connected })
	deliver(t, a, b)
}

func TestOversizeMessageIsDroppedAndOthersGoOn(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	a.Send([]raft.Message{
		appendTo(a, b, 1, make([]byte, 9<<20)),
		appendTo(a, b, 2, []byte("small")),
	})
	if m := b.next(t); m.LogIndex != 1 {
		t.Errorf("got the append after %d, want that after 1", m.LogIndex)
	}
	if n := a.peer(2).DroppedTooLarge; n != 1 {
		t.Errorf("%d dropped as too large, want 1", n)
	}
}

func TestCountersTellWhatHappened(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	a.Send([]raft.Message{heartbeat(a, b, 1), appendTo(a, b, 1, make([]byte, 1000))})
	b.next(t)
	b.next(t)
	eventually(t, "the ping is answered", func() bool { return a.peer(2).RoundTrip > 0 })
	// A message can arrive before its sender has counted it.
	eventually(t, "both are counted", func() bool { return a.peer(2).Sent >= 2 && a.peer(2).BytesOut >= 1000 })
	out, in := a.peer(2), b.peer(1)
	if out.Sent != 2 || in.Received != 2 {
		t.Errorf("%d sent and %d received, want 2 and 2", out.Sent, in.Received)
	}
	if out.Connects != 2 || !out.Connected || out.Name != "node-2" {
		t.Errorf("two connections to node-2 are reported as %+v", out)
	}
	if out.BytesOut < 1000 || in.BytesIn < 1000 || out.BytesIn == 0 {
		t.Errorf("bytes: sender %+v, receiver %+v", out, in)
	}
	if out.QueuedBytes != 0 || out.QueuedMessages != 0 {
		t.Errorf("%+v still wait", out)
	}
}

func TestMessagesAfterCloseAreDropped(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	deliver(t, a, b)
	a.Close()
	before := a.peer(2)
	a.Send([]raft.Message{heartbeat(a, b, 1)})
	after := a.peer(2)
	if after.DroppedUnreachable != before.DroppedUnreachable+1 || after.QueuedMessages != 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}
