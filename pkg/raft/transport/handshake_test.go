package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

func TestPeerOfAnotherClusterIsRefusedAndBothSidesSayWhy(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, nil)
	b := start(t, d, 2, func(o *transport.Options) { o.ClusterID = "elsewhere" })
	for _, pair := range [][2]*node{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		from.Send([]raft.Message{heartbeat(from, to, 1)})
		eventually(t, "the message is given up", func() bool { return from.peer(to.id).DroppedUnreachable > 0 })
		eventually(t, "both log it", func() bool {
			return from.log.count("another cluster") > 0 && to.log.count("another cluster") > 0
		})
	}
	for _, n := range []*node{a, b} {
		if text := n.log.String(); !strings.Contains(text, `\"cluster\"`) || !strings.Contains(text, `\"elsewhere\"`) {
			t.Errorf("the log of %v doesn't name both IDs:\n%s", n.id, text)
		}
		if len(n.inbox) > 0 {
			t.Errorf("a message reached %v", n.id)
		}
	}
}

func TestWrongMemberAtAnAddressIsNotTakenForTheRightOne(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	d.set(3, b.Address().String())
	a.Send([]raft.Message{{Kind: raft.KindHeartbeat, From: 1, To: 3}})
	eventually(t, "the message is given up", func() bool { return a.peer(3).DroppedUnreachable > 0 })
	eventually(t, "the reason is logged", func() bool { return a.log.count("not the member it should be") > 0 })
	if len(b.inbox) > 0 {
		t.Error("member 2 got a message for member 3")
	}
}

// hello introduces member 1 to member 2, for the connections of tests.
var hello = wire.Hello{
	MinProtocol: 1, MaxProtocol: 1, ClusterID: "cluster", Purpose: wire.PurposeLog, From: 1, To: 2, Name: "node-1", Address: "a:1",
}

// shake connects to n and sends h. It returns the answer.
func shake(t *testing.T, n *node, h wire.Hello) (net.Conn, wire.Welcome) {
	t.Helper()
	conn := connect(t, n)
	if err := wire.NewWriter(conn).WriteHello(&h); err != nil {
		t.Fatal(err)
	}
	f, err := wire.NewReader(conn, wire.MaxHelloBytes).Next()
	if err != nil {
		t.Fatal(err)
	}
	welcome, err := f.Welcome()
	if err != nil {
		t.Fatal(err)
	}
	return conn, welcome
}

func connect(t *testing.T, n *node) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", n.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// checkClosed fails unless the other side closes conn.
func checkClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection was left open")
	}
}

func TestEachRefusalHasItsReason(t *testing.T) {
	b := start(t, newDirectory(), 2, nil)
	for _, test := range []struct {
		name   string
		change func(*wire.Hello)
		want   wire.Refusal
	}{
		{"fitting", func(*wire.Hello) {}, wire.NotRefused},
		{"speaks later versions too", func(h *wire.Hello) { h.MaxProtocol = 9 }, wire.NotRefused},
		{"speaks only later versions", func(h *wire.Hello) { h.MinProtocol, h.MaxProtocol = 8, 9 }, wire.RefusedVersion},
		{"speaks only earlier versions", func(h *wire.Hello) { h.MinProtocol, h.MaxProtocol = 0, 0 }, wire.RefusedVersion},
		{"another cluster", func(h *wire.Hello) { h.ClusterID = "other" }, wire.RefusedCluster},
		{"means another member", func(h *wire.Hello) { h.To = 3 }, wire.RefusedMember},
		{"means nobody", func(h *wire.Hello) { h.To = 0 }, wire.RefusedMember},
		{"is nobody", func(h *wire.Hello) { h.From = 0 }, wire.RefusedMember},
		{"claims this member's ID", func(h *wire.Hello) { h.From = 2 }, wire.RefusedMember},
		{"unknown purpose", func(h *wire.Hello) { h.Purpose = 77 }, wire.RefusedPurpose},
		{"snapshot", func(h *wire.Hello) { h.Purpose = wire.PurposeSnapshot }, wire.RefusedPurpose},
		{"bootstrap", func(h *wire.Hello) { h.Purpose = wire.PurposeBootstrap }, wire.RefusedPurpose},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := hello
			test.change(&h)
			conn, welcome := shake(t, b, h)
			if welcome.Refusal != test.want || welcome.Member != 2 || welcome.ClusterID != "cluster" || welcome.Name != "node-2" {
				t.Errorf("got %+v, want refusal %d by member 2", welcome, test.want)
			}
			if test.want == wire.NotRefused && welcome.Protocol != 1 {
				t.Errorf("protocol %d was chosen, want 1", welcome.Protocol)
			}
			if test.want != wire.NotRefused {
				checkClosed(t, conn)
			}
		})
	}
}

func TestGarbageOnThePortIsClosedWithAClearLine(t *testing.T) {
	for name, data := range map[string]string{
		"HTTP":           "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"short":          "hi",
		"TLS":            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on and so on",
		"huge frame":     "\xc5\x01\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
		"damaged frame":  "\xc5\x01\x01\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x90\x90",
		"premature ping": string(written(t, (*wire.Writer).WritePing)),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory()
			b := start(t, d, 2, func(o *transport.Options) { o.HandshakeTimeout = 100 * time.Millisecond })
			conn := connect(t, b)
			if _, err := io.WriteString(conn, data); err != nil {
				t.Fatal(err)
			}
			checkClosed(t, conn)
			eventually(t, "it is logged", func() bool { return b.log.count("connection refused") == 1 })
			if name == "HTTP" && (b.log.count("not the peer protocol") != 1 || b.log.count("GET /healthz") != 1) {
				t.Errorf("the line doesn't tell what came:\n%s", b.log)
			}
			if s := b.Stats(); s.Refused != 1 {
				t.Errorf("%d refused, want 1", s.Refused)
			}
			deliver(t, start(t, d, 1, nil), b)
		})
	}
}

// written returns what write writes.
func written(t *testing.T, write func(*wire.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(wire.NewWriter(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAPeerThatSendsItsHelloByDropsIsClosed(t *testing.T) {
	b := start(t, newDirectory(), 2, func(o *transport.Options) { o.HandshakeTimeout = 50 * time.Millisecond })
	conn := connect(t, b)
	data := written(t, func(w *wire.Writer) error { return w.WriteHello(&hello) })
	for i := 0; i < len(data)-1; i++ {
		if _, err := conn.Write(data[i : i+1]); err != nil {
			return // closed while the drops still fell
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("every byte but one was taken, long after the deadline")
}

func TestStrangersCannotTakeThePlacesOfPeers(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, nil)
	b := start(t, d, 2, func(o *transport.Options) { o.MaxConnections, o.HandshakeTimeout = 6, time.Minute })
	deliver(t, a, b)
	for range 3 {
		connect(t, b)
	}
	eventually(t, "three strangers are waited for", func() bool { return b.Stats().Connections == 4 })
	checkClosed(t, connect(t, b))
	if s := b.Stats(); s.TurnedAway != 1 || s.Connections != 4 {
		t.Errorf("%+v, want 1 turned away and 4 connections", s)
	}
	eventually(t, "it is logged", func() bool { return b.log.count("turned away") == 1 })
	deliver(t, a, b)
}

func TestConnectionsAreLimited(t *testing.T) {
	b := start(t, newDirectory(), 2, func(o *transport.Options) { o.MaxConnections, o.HandshakeTimeout = 4, time.Minute })
	var first net.Conn
	for i := range 4 {
		h := hello
		h.From = raft.MemberID(10 + i)
		conn, welcome := shake(t, b, h)
		if welcome.Refusal != wire.NotRefused {
			t.Fatalf("connection %d was refused: %+v", i, welcome)
		}
		if i == 0 {
			first = conn
		}
	}
	checkClosed(t, connect(t, b))
	_ = first.Close()
	eventually(t, "a place is free again", func() bool { return b.Stats().Connections == 3 })
	if _, welcome := shake(t, b, hello); welcome.Refusal != wire.NotRefused {
		t.Errorf("refused: %+v", welcome)
	}
}

func TestASecondConnectionOfAMemberReplacesTheFirst(t *testing.T) {
	b := start(t, newDirectory(), 2, nil)
	send := func(conn net.Conn) {
		m := raft.Message{Kind: raft.KindAppendEntries, From: 1, To: 2}
		if err := wire.NewWriter(conn).WriteMessage(&m, nil); err != nil {
			t.Fatal(err)
		}
		b.next(t)
	}
	first, _ := shake(t, b, hello)
	send(first)
	second, _ := shake(t, b, hello)
	checkClosed(t, first)
	send(second)
}

func TestAMemberCannotSpeakForAnother(t *testing.T) {
	for name, m := range map[string]raft.Message{
		"from another":         {Kind: raft.KindAppendEntries, From: 5, To: 2},
		"to another":           {Kind: raft.KindAppendEntries, From: 1, To: 5},
		"a snapshot's promise": {Kind: raft.KindInstallSnapshot, From: 1, To: 2, Snapshot: &raft.SnapshotMeta{Index: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, newDirectory(), 2, nil)
			conn, _ := shake(t, b, hello)
			if err := wire.NewWriter(conn).WriteMessage(&m, nil); err != nil {
				t.Fatal(err)
			}
			checkClosed(t, conn)
			eventually(t, "it is logged", func() bool { return b.log.count("protocol violation") == 1 })
			if len(b.inbox) > 0 {
				t.Error("the message was delivered")
			}
		})
	}
}

func TestCloseEndsConnectionsInEveryState(t *testing.T) {
	d := newDirectory()
	a, b := start(t, d, 1, nil), start(t, d, 2, nil)
	deliver(t, a, b)
	connect(t, b)
	startDeaf(t, d, 3)
	a.Send([]raft.Message{{Kind: raft.KindHeartbeat, From: 1, To: 3}})
	eventually(t, "the deaf peer is connected", func() bool { return a.peer(3).Connected })
	a.Close()
	b.Close()
	if s := b.Stats(); s.Connections != 0 {
		t.Errorf("%d connections are left", s.Connections)
	}
	if _, err := a.Announce(context.Background(), "node-2", b.Address().String(), wire.Bootstrap{}); err == nil {
		t.Error("a closed transport announced something")
	}
}
