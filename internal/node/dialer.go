package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft"
)

const (
	// lookupPatience is how long a dial waits for the name servers when an
	// address is known from before. It is short beside an election timeout and
	// long beside an answer in a healthy network.
	lookupPatience = 100 * time.Millisecond
	// rememberedTimeout bounds the attempt to connect to an address from before.
	rememberedTimeout = 500 * time.Millisecond
	// lookupTimeout bounds one question to the name servers. Asking anew is
	// worth more than waiting: the next question may reach another server.
	lookupTimeout = time.Second
	// refreshInterval is how often the addresses of all members are looked up
	// ahead of their need.
	refreshInterval = 10 * time.Second
	// keepOpenInterval is how often it is seen to that all members are connected.
	keepOpenInterval = time.Second
)

// dialer opens connections to peers, by name.
//
// Names are looked up at each dial, since a pod that was made again has another
// address. But a member must be able to reach the others when the name servers
// don't answer: the machine that took the leader with it may have taken one of
// them too, and members that only follow have no connection to each other until
// they elect, save those that keepOpen opens. So the dialer remembers what it found, keeps that fresh, and falls
// back on it. An address that has become somebody else's does no harm, because
// every connection begins with the question who is there.
type dialer struct {
	lookup  func(ctx context.Context, host string) ([]string, error)
	connect func(ctx context.Context, network, address string) (net.Conn, error)

	mu sync.Mutex
	// found holds the addresses of each host as last looked up.
	found map[string][]string
}

func newDialer() *dialer {
	return &dialer{
		lookup:  net.DefaultResolver.LookupHost,
		connect: new(net.Dialer).DialContext,
		found:   make(map[string][]string),
	}
}

// dial connects to host:port; it is transport.Options.Dial. When the name servers
// don't answer at once, it tries where the host was, and then asks them until they
// say something or ctx ends.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if isLiteral(host) {
		return d.connect(ctx, network, address)
	}
	if before := d.remembered(host); before != nil {
		now, err := d.ask(ctx, host, lookupPatience)
		if err == nil {
			return d.connectAny(ctx, network, now, port)
		}
		if conn, err := d.connectBefore(ctx, network, before, port); err == nil {
			return conn, nil
		}
		d.forget(host)
	}
	for {
		now, err := d.ask(ctx, host, lookupTimeout)
		switch {
		case err == nil:
			return d.connectAny(ctx, network, now, port)
		case ctx.Err() != nil || !isTimeout(err):
			return nil, err
		}
	}
}

// connectBefore tries addresses from before, for a short time only: who isn't
// there any more may not even refuse.
func (d *dialer) connectBefore(ctx context.Context, network string, addresses []string, port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, rememberedTimeout)
	defer cancel()
	return d.connectAny(ctx, network, addresses, port)
}

// connectAny connects to the first address that accepts. Each gets an equal share
// of the time left.
func (d *dialer) connectAny(ctx context.Context, network string, addresses []string, port string) (net.Conn, error) {
	var errs []error
	for i, address := range addresses {
		conn, err := d.connectWithin(ctx, network, net.JoinHostPort(address, port), len(addresses)-i)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// connectWithin gives one of a number of attempts its share of the time left.
func (d *dialer) connectWithin(ctx context.Context, network, address string, attempts int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && attempts > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(attempts))
		defer cancel()
	}
	return d.connect(ctx, network, address)
}

// remembered are the addresses of a host as last looked up, nil for a new one.
func (d *dialer) remembered(host string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.found[host]
}

// forget drops a host's addresses, since nobody is there.
func (d *dialer) forget(host string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.found, host)
}

// ask looks a host up once, and remembers the answer.
func (d *dialer) ask(ctx context.Context, host string, patience time.Duration) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	addresses, err := d.lookup(ctx, host)
	if err == nil && len(addresses) == 0 {
		err = &net.DNSError{Err: "it has no address", Name: host, IsNotFound: true}
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found[host] = addresses
	return addresses, nil
}

// isLiteral reports whether a host is an address already.
func isLiteral(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// isTimeout reports whether the name servers said nothing.
func isTimeout(err error) bool {
	failure := (*net.DNSError)(nil)
	return errors.As(err, &failure) && failure.IsTimeout || errors.Is(err, context.DeadlineExceeded)
}

// refresh looks up all hosts of peers now and then, until ctx ends. What can't
// be looked up stays as it was; hosts that are no longer peers are forgotten.
func (d *dialer) refresh(ctx context.Context, peers func() []string) {
	for {
		pause := refreshInterval
		hosts := peers()
		if len(hosts) == 0 {
			pause = lookupTimeout // the node doesn't take part yet
		}
		for _, host := range hosts {
			// A failure matters to whoever dials, and is told there.
			_, _ = d.ask(ctx, host, lookupTimeout)
		}
		d.forgetOthers(hosts)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// forgetOthers forgets all but the given hosts; none are known before the node
// takes part, and then those that were dialled stay.
func (d *dialer) forgetOthers(hosts []string) {
	if len(hosts) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for host := range d.found {
		if !slices.Contains(hosts, host) {
			delete(d.found, host)
		}
	}
}

// keepOpen keeps connections to all other members until ctx ends, so that those
// who follow reach each other at once when they have to elect.
func (n *node) keepOpen(ctx context.Context) {
	beat := time.NewTicker(keepOpenInterval)
	defer beat.Stop()
	for {
		if running := n.replicator.replica.Load(); running != nil {
			var others []raft.MemberID
			for _, member := range running.Membership().Membership.Members {
				others = append(others, member.ID)
			}
			n.peers.KeepOpen(others)
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

// peerHosts are the host names of the other members.
func (n *node) peerHosts() []string {
	running := n.replicator.replica.Load()
	if running == nil {
		return nil
	}
	var hosts []string
	for _, member := range running.Membership().Membership.Members {
		host, _, err := net.SplitHostPort(member.Address)
		if err == nil && member.ID != n.self.ID && !isLiteral(host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
