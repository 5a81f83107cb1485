package node

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// gathering is a set of nodes that look for each other.
type gathering struct {
	peers []Peer
	nodes map[string]*bootstrap
	ids   uint64
}

func newGathering(names ...string) *gathering {
	g := &gathering{nodes: map[string]*bootstrap{}}
	for _, name := range names {
		g.peers = append(g.peers, Peer{Name: name, Address: name + ":1"})
	}
	for _, name := range names {
		g.wipe(name)
	}
	return g
}

// wipe gives a node a new, empty disk.
func (g *gathering) wipe(name string) {
	g.ids++
	b := newBootstrap(raft.Member{ID: raft.MemberID(g.ids), Name: name, Address: name + ":1"}, "cluster")
	b.expect(g.peers)
	g.nodes[name] = b
}

// announce lets one node announce itself to another, both ways.
func (g *gathering) announce(from, to string) {
	b := g.nodes[from].present()
	g.nodes[to].meet(b)
	g.nodes[from].meet(g.nodes[to].present())
}

func (g *gathering) round() {
	for _, a := range g.peers {
		for _, b := range g.peers {
			if a != b {
				g.announce(a.Name, b.Name)
			}
		}
	}
}

func TestBootstrapFormsOneConfigurationOfAllNodes(t *testing.T) {
	g := newGathering("a", "b", "c")
	g.round()
	g.round()
	for name, b := range g.nodes {
		first, decided := b.outcome()
		if !decided || first == nil || len(first.Members) != 3 {
			t.Errorf("%s: decided %v on %+v", name, decided, first)
		}
	}
}

func TestBootstrapNeedsEveryNode(t *testing.T) {
	g := newGathering("a", "b", "c")
	for range 10 {
		g.announce("a", "b")
		g.announce("b", "a")
	}
	for _, name := range []string{"a", "b"} {
		if _, decided := g.nodes[name].outcome(); decided {
			t.Errorf("%s decided without c", name)
		}
	}
	if got := g.nodes["a"].missing(); !strings.Contains(got, "2 of 3") || !strings.Contains(got, "(a, b)") {
		t.Errorf("a says %q, which doesn't tell who was met", got)
	}
}

func TestWipedNodeIsNotTakenForTheOneBefore(t *testing.T) {
	g := newGathering("a", "b", "c")
	g.round()
	g.round()
	g.wipe("c")
	g.round()
	if first, decided := g.nodes["c"].outcome(); !decided || first != nil {
		t.Errorf("the wiped c: decided %v on %+v, want to wait to be added", decided, first)
	}
}

func TestWipedMajorityFormsNothing(t *testing.T) {
	g := newGathering("a", "b", "c")
	g.round()
	g.round()
	g.wipe("b")
	g.wipe("c")
	for range 5 {
		g.round()
	}
	for _, name := range []string{"b", "c"} {
		if first, _ := g.nodes[name].outcome(); first != nil {
			t.Errorf("the wiped %s formed %+v", name, first)
		}
	}
}

func TestStrangersAreNotMet(t *testing.T) {
	g := newGathering("a", "b")
	for _, stranger := range []wire.Bootstrap{
		{Name: "x", MemberID: 9, Address: "x:1", ClusterID: "cluster"},
		{Name: "b", MemberID: 9, Address: "b:1", ClusterID: "another"},
		{Name: "a", MemberID: 9, Address: "a:1", ClusterID: "cluster"},
	} {
		g.nodes["a"].meet(stranger)
	}
	if got := g.nodes["a"].missing(); !strings.Contains(got, "1 of 2") {
		t.Errorf("a says %q after meeting strangers only", got)
	}
}

// TestRandomGatheringsNeverFormTwoClusters lets announcements and wipes happen in
// any order: at no time do two disks hold different first configurations.
func TestRandomGatheringsNeverFormTwoClusters(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		g := newGathering(names[:3+r.IntN(3)]...)
		for range 200 {
			from, to := g.peers[r.IntN(len(g.peers))].Name, g.peers[r.IntN(len(g.peers))].Name
			if r.IntN(40) == 0 {
				g.wipe(from)
			}
			if from != to {
				g.announce(from, to)
			}
			formed := map[string]bool{}
			for _, b := range g.nodes {
				if first, _ := b.outcome(); first != nil {
					formed[membersText(first)] = true
				}
			}
			if len(formed) > 1 {
				t.Fatalf("seed %d: these were formed: %v", seed, formed)
			}
		}
	}
}

func membersText(m *raft.Membership) string {
	var parts []string
	for _, member := range m.Members {
		parts = append(parts, member.Name+"="+member.ID.String())
	}
	return strings.Join(parts, " ")
}
