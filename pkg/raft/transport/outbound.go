package transport

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// pingInterval is the least time between two pings on one connection.
const pingInterval = time.Second

// outbound is a connection that this side opened to send messages. The peer
// says nothing on it but pongs. Watching for them, and for the connection's
// end, means that the first message after a peer's restart isn't lost, and
// that a peer whose machine vanished, so that nothing ever closes the
// connection, is noticed within the peer timeout.
type outbound struct {
	session *session
	link    *link

	mu     sync.Mutex
	err    error
	pinged time.Time // of the ping without answer, zero if there is none
	next   time.Time // when the next ping is due
}

func newOutbound(s *session, l *link) *outbound { return &outbound{session: s, link: l} }

// ping writes a ping if one is due.
func (o *outbound) ping() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if !o.pinged.IsZero() || now.Before(o.next) {
		return nil
	}
	o.pinged, o.next = now, now.Add(pingInterval)
	if err := o.session.stream.SetReadDeadline(now.Add(o.link.transport.options.PeerTimeout)); err != nil {
		return err
	}
	return o.session.writer.WritePing()
}

// watch reads pongs until the connection ends.
func (o *outbound) watch() {
	for {
		f, err := o.session.reader.Next()
		if err == nil && f.Kind != wire.KindPong {
			err = fmt.Errorf("%w: frame of kind %d on a connection for sending", ErrProtocol, f.Kind)
		}
		if err == nil {
			err = o.pong()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: no answer to a ping within %v", ErrSilent, o.link.transport.options.PeerTimeout)
		}
		if err != nil {
			o.fail(err)
			return
		}
	}
}

func (o *outbound) pong() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pinged.IsZero() {
		return fmt.Errorf("%w: a pong without a ping", ErrProtocol)
	}
	o.link.roundTrip.Store(int64(time.Since(o.pinged)))
	o.pinged = time.Time{}
	return o.session.stream.SetReadDeadline(time.Time{})
}

// fail closes the connection; the first reason given stays.
func (o *outbound) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
		o.link.up.Store(false)
		o.session.close()
	}
}

// failure returns why the connection ended, nil while it stands.
func (o *outbound) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
