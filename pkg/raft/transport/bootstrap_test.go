package transport_test

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/transport"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// introduction is what a node with the given ID says in a bootstrap exchange.
func introduction(id raft.MemberID) wire.Bootstrap {
	return wire.Bootstrap{
		Name: nameOf(id), MemberID: id, Address: "somewhere:1", ClusterID: "cluster",
		Members: []raft.Member{{ID: id, Name: nameOf(id), Address: "somewhere:1"}},
	}
}

func TestNodesIntroduceThemselves(t *testing.T) {
	d := newDirectory()
	asked := make(chan wire.Bootstrap, 1)
	answer := introduction(2)
	answer.Initialized = true
	answer.FirstMembership = &raft.Membership{Members: answer.Members, Voters: []raft.MemberID{2}}
	a := start(t, d, 1, nil)
	b := start(t, d, 2, func(o *transport.Options) {
		o.Bootstrap = func(_ context.Context, b wire.Bootstrap) wire.Bootstrap { asked <- b; return answer }
	})
	got, err := a.Announce(context.Background(), "node-2", b.Address().String(), introduction(1))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, answer) {
		t.Errorf("answered %+v, want %+v", got, answer)
	}
	if got := <-asked; !reflect.DeepEqual(got, introduction(1)) {
		t.Errorf("asked %+v, want %+v", got, introduction(1))
	}
}

func TestAnnounceTellsWhyItFailed(t *testing.T) {
	d := newDirectory()
	answering := func(b wire.Bootstrap) func(*transport.Options) {
		return func(o *transport.Options) {
			o.Bootstrap = func(context.Context, wire.Bootstrap) wire.Bootstrap { return b }
		}
	}
	a := start(t, d, 1, answering(introduction(1)))
	elsewhere := start(t, d, 2, func(o *transport.Options) { answering(introduction(2))(o); o.ClusterID = "elsewhere" })
	closed := start(t, d, 3, nil)
	impostor := start(t, d, 4, answering(introduction(5)))
	nobody, nowhere := listen(t)
	_ = nobody.Close()
	for _, test := range []struct {
		name, address string
		b             wire.Bootstrap
		want          error
		text          []string
	}{
		{"another cluster", elsewhere.Address().String(), introduction(1), transport.ErrClusterMismatch, []string{`"cluster"`, `"elsewhere"`}},
		{"itself", a.Address().String(), introduction(1), transport.ErrWrongMember, []string{"both sides are"}},
		{"not served", closed.Address().String(), introduction(1), transport.ErrNotServed, []string{"bootstrap"}},
		{"another's answer", impostor.Address().String(), introduction(1), transport.ErrProtocol, nil},
		{"nobody there", nowhere, introduction(1), nil, []string{nowhere}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := a.Announce(context.Background(), "node-2", test.address, test.b)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			for _, text := range append(test.text, test.address) {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q doesn't name %s", err, text)
				}
			}
		})
	}
}

func TestANodeCannotIntroduceAnother(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, nil)
	b := start(t, d, 2, func(o *transport.Options) {
		o.Bootstrap = func(context.Context, wire.Bootstrap) wire.Bootstrap {
			t.Error("the introduction was handed on")
			return introduction(2)
		}
	})
	if _, err := a.Announce(context.Background(), "node-2", b.Address().String(), introduction(7)); err == nil {
		t.Error("it was answered")
	}
}

func TestAnnounceEndsWithItsContext(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, nil)
	silent, address := listen(t)
	defer silent.Close()
	cause := errors.New("called off")
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		conn, err := silent.Accept()
		cancel(cause)
		if err == nil {
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 1<<10))
			_, _ = conn.Read(make([]byte, 1))
		}
	}()
	if _, err := a.Announce(ctx, "node-2", address, introduction(1)); !errors.Is(err, cause) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

func TestAnnounceReportsTheDiallersError(t *testing.T) {
	d := newDirectory()
	a := start(t, d, 1, func(o *transport.Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no way out") }
	})
	if _, err := a.Announce(context.Background(), "node-2", "peer:1", introduction(1)); err == nil || !strings.Contains(err.Error(), "no way out") {
		t.Errorf("got %v, want the dialler's error", err)
	}
}
