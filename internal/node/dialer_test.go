package node

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeNetwork is a network of names whose servers may fall silent. Connections
// succeed to the addresses in up.
type fakeNetwork struct {
	names map[string][]string
	// silentUntil is when the servers answer again.
	silentUntil time.Time
	up          []string
	// asked counts the lookups, dialled holds the addresses in order.
	asked   int
	dialled []string
}

// dialer returns a dialer in this network.
func (f *fakeNetwork) dialer() *dialer {
	d := newDialer()
	d.lookup = func(ctx context.Context, host string) ([]string, error) {
		f.asked++
		if time.Now().Before(f.silentUntil) {
			<-ctx.Done()
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		}
		if len(f.names[host]) == 0 {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return f.names[host], nil
	}
	d.connect = func(ctx context.Context, _, address string) (net.Conn, error) {
		f.dialled = append(f.dialled, address)
		if !slices.Contains(f.up, address) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		conn, _ := net.Pipe()
		return conn, nil
	}
	return d
}

// reach dials with a handshake's patience, and returns how long that took.
func reach(t *testing.T, d *dialer, address string) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	began := time.Now()
	conn, err := d.dial(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	return time.Since(began), err
}

func TestAPeerIsReachedWhileTheNameServersAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{names: map[string][]string{"b.svc": {"10.0.0.2"}}, up: []string{"10.0.0.2:8401"}}
		d := f.dialer()
		ctx, stop := context.WithCancel(t.Context())
		go d.refresh(ctx, func() []string { return []string{"b.svc"} })
		synctest.Wait() // for the first refresh: nobody has dialled yet
		f.silentUntil = time.Now().Add(time.Hour)
		if took, err := reach(t, d, "b.svc:8401"); err != nil || took > lookupPatience {
			t.Errorf("reached after %v: %v", took, err)
		}
		stop()
		synctest.Wait()
	})
}

func TestAPeerThatMovedIsFoundAtItsNewAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{names: map[string][]string{"b.svc": {"10.0.0.2"}}, up: []string{"10.0.0.2:8401", "10.0.0.9:8401"}}
		d := f.dialer()
		for _, address := range []string{"10.0.0.2", "10.0.0.9"} {
			f.names["b.svc"] = []string{address}
			if _, err := reach(t, d, "b.svc:8401"); err != nil || f.dialled[len(f.dialled)-1] != address+":8401" {
				t.Errorf("dialled %v: %v", f.dialled, err)
			}
		}
	})
}

func TestAPeerThatMovedWhileTheNameServersWereSilentIsFoundOnceTheySpeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{names: map[string][]string{"b.svc": {"10.0.0.2"}}, up: []string{"10.0.0.2:8401"}}
		d := f.dialer()
		if _, err := reach(t, d, "b.svc:8401"); err != nil {
			t.Fatal(err)
		}
		f.names["b.svc"], f.up = []string{"10.0.0.9"}, []string{"10.0.0.9:8401"}
		f.silentUntil = time.Now().Add(time.Second)
		if took, err := reach(t, d, "b.svc:8401"); err != nil || took > 2*time.Second {
			t.Errorf("reached after %v: %v", took, err)
		}
	})
}

func TestAnUnknownPeerIsLookedUpUntilTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{silentUntil: time.Now().Add(time.Hour)}
		if took, err := reach(t, f.dialer(), "b.svc:8401"); err == nil || took != 3*time.Second || f.asked < 3 {
			t.Errorf("gave up after %v and %d lookups: %v", took, f.asked, err)
		}
	})
}

func TestAnAnswerThatThereIsNoSuchHostIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{}
		took, err := reach(t, f.dialer(), "b.svc:8401")
		failure := (*net.DNSError)(nil)
		if !errors.As(err, &failure) || !failure.IsNotFound || took != 0 || f.asked != 1 {
			t.Errorf("after %v and %d lookups: %v", took, f.asked, err)
		}
	})
}

func TestEachAddressOfAPeerIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{names: map[string][]string{"b.svc": {"fd00::2", "10.0.0.2"}}, up: []string{"10.0.0.2:8401"}}
		if _, err := reach(t, f.dialer(), "b.svc:8401"); err != nil || !slices.Equal(f.dialled, []string{"[fd00::2]:8401", "10.0.0.2:8401"}) {
			t.Errorf("dialled %v: %v", f.dialled, err)
		}
	})
}

func TestLiteralAddressesAreNotLookedUp(t *testing.T) {
	f := &fakeNetwork{up: []string{"[::1]:8401"}}
	if _, err := reach(t, f.dialer(), "[::1]:8401"); err != nil || f.asked != 0 {
		t.Errorf("%d lookups: %v", f.asked, err)
	}
}

func TestHostsThatAreNoPeersAnyMoreAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{names: map[string][]string{"b.svc": {"10.0.0.2"}, "c.svc": {"10.0.0.3"}}}
		d := f.dialer()
		var peers atomic.Pointer[[]string]
		peers.Store(&[]string{"b.svc", "c.svc"})
		ctx, stop := context.WithCancel(t.Context())
		go d.refresh(ctx, func() []string { return *peers.Load() })
		synctest.Wait()
		peers.Store(&[]string{"c.svc"})
		time.Sleep(refreshInterval)
		synctest.Wait()
		if len(d.found) != 1 || d.found["c.svc"] == nil {
			t.Errorf("remembers %v", d.found)
		}
		stop()
		synctest.Wait()
	})
}
