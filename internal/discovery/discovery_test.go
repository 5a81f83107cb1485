package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/conclave-dev/conclave/internal/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// finder returns a resolver that asks the server and hardly pauses. Each lookup
// of Await that found too little is handed to seen, and moves the server's script
// on.
func finder(t *testing.T, s *nameServer, seen func(discovery.Progress)) *discovery.Resolver {
	t.Helper()
	r, err := discovery.New(discovery.Options{
		Service:  service,
		DNS:      s.resolver(),
		RetryMin: time.Millisecond,
		RetryMax: 4 * time.Millisecond,
		Progress: func(p discovery.Progress) {
			if seen != nil {
				seen(p)
			}
			s.next()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// names returns the names of peers in their order.
func names(peers []discovery.Peer) []string {
	var all []string
	for _, p := range peers {
		all = append(all, p.Name)
	}
	return all
}

func TestPeersAreNamedSortedAndAddressedByService(t *testing.T) {
	peers, err := finder(t, serve(t, pods("cfg-2", "cfg-0", "CFG-1")), nil).Peers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []discovery.Peer{
		{Name: "cfg-0", Address: "cfg-0.cfg-peers.prod.svc:8401"},
		{Name: "cfg-1", Address: "cfg-1.cfg-peers.prod.svc:8401"},
		{Name: "cfg-2", Address: "cfg-2.cfg-peers.prod.svc:8401"},
	}
	if !slices.Equal(peers, want) {
		t.Errorf("Peers = %v, want %v", peers, want)
	}
}

func TestAPeerPublishedTwiceIsFoundOnce(t *testing.T) {
	peers, err := finder(t, serve(t, pods("cfg-0", "cfg-1", "cfg-0")), nil).Peers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"cfg-0", "cfg-1"}; !slices.Equal(names(peers), want) {
		t.Errorf("Peers = %v, want %v", names(peers), want)
	}
}

func TestAnswersThatCannotBeRightAreRefused(t *testing.T) {
	many := make([]string, discovery.PeersMax+1)
	for i := range many {
		many[i] = fmt.Sprintf("cfg-%d", i)
	}
	host := "cfg-0." + service + "."
	for name, c := range map[string]struct {
		answer answer
		says   string
	}{
		"a name that does not exist":   {noSuchName, "no such host"},
		"a server that fails":          {failure, "server misbehaving"},
		"no records":                   {pods(), "cfg-peers.prod.svc"},
		"too many records":             {pods(many...), "17 records, and at most 16"},
		"a target of another service":  {answer{targets: []target{{"cfg-0.other.prod.svc.", 8401}}}, "not a name directly below"},
		"a target two levels below":    {answer{targets: []target{{"a.b." + service + ".", 8401}}}, "not a name directly below"},
		"the service itself as target": {answer{targets: []target{{service + ".", 8401}}}, "not a name directly below"},
		"a look-alike of the service":  {answer{targets: []target{{"cfg-0." + service + "x.", 8401}}}, "not a name directly below"},
		"port 0":                       {answer{targets: []target{{host, 0}}}, "port 0"},
		"two ports for one peer":       {answer{targets: []target{{host, 8401}, {host, 9401}}}, "two ports"},
	} {
		t.Run(name, func(t *testing.T) {
			peers, err := finder(t, serve(t, c.answer), nil).Peers(t.Context())
			if err == nil {
				t.Fatalf("Peers = %v, want an error", peers)
			}
			for _, text := range []string{"SRV _peer._tcp.cfg-peers.prod.svc", c.says} {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error %q does not say %q", err, text)
				}
			}
		})
	}
}

func TestAwaitOutlastsADNSThatIsLateAndFails(t *testing.T) {
	var found []int
	var failed []bool
	s := serve(t,
		noSuchName,
		failure,
		pods("cfg-1"),
		noSuchName, // a cache that still remembers the time before
		pods("cfg-1", "cfg-2"),
		pods("cfg-0", "cfg-1", "cfg-2"))
	peers, err := finder(t, s, func(p discovery.Progress) {
		found, failed = append(found, len(p.Found)), append(failed, p.Err != nil)
		if p.Want != 3 || p.Attempt != len(found) {
			t.Errorf("Progress = %+v, want attempt %d of 3 peers", p, len(found))
		}
	}).Await(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"cfg-0", "cfg-1", "cfg-2"}; !slices.Equal(names(peers), want) {
		t.Errorf("Await = %v, want %v", names(peers), want)
	}
	if want := []int{0, 0, 1, 0, 2}; !slices.Equal(found, want) {
		t.Errorf("peers found before: %v, want %v", found, want)
	}
	if want := []bool{true, true, false, true, false}; !slices.Equal(failed, want) {
		t.Errorf("lookups failed before: %v, want %v", failed, want)
	}
}

func TestAwaitDoesNotAddUpPeersOfDifferentAnswers(t *testing.T) {
	s := serve(t, pods("cfg-0", "cfg-1"), pods("cfg-1", "cfg-2"), pods("cfg-2", "cfg-3", "cfg-4"))
	peers, err := finder(t, s, nil).Await(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"cfg-2", "cfg-3", "cfg-4"}; !slices.Equal(names(peers), want) {
		t.Errorf("Await = %v, want %v", names(peers), want)
	}
}

// Whoever labels a pod like the service's own gets it published beside them.
func TestAwaitTakesOnlyPodsOfTheStatefulSetThatFormTheCluster(t *testing.T) {
	for name, c := range map[string]struct {
		own    string
		script []answer
		want   []string
	}{
		"a pod without a name of its own": {"cfg-1", []answer{pods("10-0-0-7", "cfg-0", "cfg-1"), pods("10-0-0-7", "cfg-0", "cfg-1", "cfg-2")}, []string{"cfg-0", "cfg-1", "cfg-2"}},
		"another StatefulSet's pods":      {"cfg-1", []answer{pods("cfg-0", "cfg-1", "other-0", "other-1", "other-2"), pods("cfg-0", "cfg-1", "cfg-2", "other-2")}, []string{"cfg-0", "cfg-1", "cfg-2"}},
		"more pods than were asked for":   {"cfg-1", []answer{pods("cfg-0", "cfg-1", "cfg-3", "cfg-4"), pods("cfg-0", "cfg-1", "cfg-2", "cfg-3")}, []string{"cfg-0", "cfg-1", "cfg-2"}},
		"numbers of another form":         {"cfg-0", []answer{pods("cfg-0", "cfg-01", "cfg-+1", "cfg-2"), pods("cfg-0", "cfg-1", "cfg-2")}, []string{"cfg-0", "cfg-1", "cfg-2"}},
		"a name without a number":         {"red", []answer{pods("red", "green"), pods("red", "green", "blue")}, []string{"blue", "green", "red"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, c.script...)
			r, err := discovery.New(discovery.Options{
				Service: service, Name: c.own, DNS: server.resolver(), RetryMin: time.Millisecond, RetryMax: time.Millisecond,
				Progress: func(discovery.Progress) { server.next() },
			})
			if err != nil {
				t.Fatal(err)
			}
			peers, err := r.Await(t.Context(), 3)
			if err != nil || !slices.Equal(names(peers), c.want) {
				t.Errorf("Await = %v, %v, want %v", names(peers), err, c.want)
			}
		})
	}
}

func TestAwaitEndsOnlyWithItsContextAndTellsHowItWent(t *testing.T) {
	gone := errors.New("the node was told to stop")
	for name, c := range map[string]struct {
		answer answer
		says   string
	}{
		"no name":       {noSuchName, "last lookup: discovery: look up SRV _peer._tcp.cfg-peers.prod.svc"},
		"too few peers": {pods("cfg-0", "cfg-1"), "the last answer held 2"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			peers, err := finder(t, serve(t, c.answer), func(p discovery.Progress) {
				if p.Attempt == 20 {
					cancel(gone)
				}
			}).Await(ctx, 3)
			if !errors.Is(err, gone) {
				t.Fatalf("Await = %v, %v, want an error that is %q", peers, err, gone)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q does not say %q", err, c.says)
			}
		})
	}
}

func TestAwaitOutlastsANameServerThatNeverAnswers(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := discovery.New(discovery.Options{
		Service: service,
		DNS: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "udp", silent.LocalAddr().String())
		}},
		LookupTimeout: 10 * time.Millisecond,
		RetryMin:      time.Millisecond,
		Progress: func(p discovery.Progress) {
			if p.Err == nil {
				t.Errorf("lookup %d found %v at a server that is silent", p.Attempt, p.Found)
			}
			if p.Attempt == 3 {
				cancel()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Await(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Await = %v, want the context's error after three lookups", err)
	}
}

func TestAwaitPausesLongerUpToItsLimit(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pauses := []time.Duration{1, 2, 4, 4, 4} // the longest, in milliseconds
	_, err := finder(t, serve(t, noSuchName), func(p discovery.Progress) {
		longest := pauses[p.Attempt-1] * time.Millisecond
		if p.RetryIn < longest/2 || p.RetryIn > longest {
			t.Errorf("pause %d = %v, want between %v and %v", p.Attempt, p.RetryIn, longest/2, longest)
		}
		if p.Attempt == len(pauses) {
			cancel()
		}
	}).Await(ctx, 1)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Await = %v, want the context's error", err)
	}
}

func TestOptionsThatCannotBeUsedAreRefused(t *testing.T) {
	for says, o := range map[string]discovery.Options{
		"service is missing":          {},
		"without a dot at either end": {Service: "cfg-peers."},
		"is negative":                 {Service: service, RetryMin: -1},
		"is longer than the longest":  {Service: service, RetryMin: time.Minute},
	} {
		if _, err := discovery.New(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("New(%+v) = %v, want an error that says %q", o, err, says)
		}
	}
	r, err := discovery.New(discovery.Options{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, discovery.PeersMax + 1} {
		if _, err := r.Await(t.Context(), n); err == nil {
			t.Errorf("Await(%d) succeeded, want an error", n)
		}
	}
}
