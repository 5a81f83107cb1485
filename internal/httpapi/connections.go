package httpapi

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// DefaultMaxConnections is how many clients may be connected to a node: as many as
// may wait for a change, with room for others.
const DefaultMaxConnections = 24_000

// Connections bounds how many connections are open at a time to the servers that it
// serves. When there are as many as may be, the next one takes the place of the one
// that has stood without a request for longest, so that connections which nobody
// uses, or whose request doesn't come, keep nobody out. While all have a request
// under way, one more waits, and what comes after it waits in the operating system.
type Connections struct {
	limit int

	mu   sync.Mutex
	open map[net.Conn]*limitedConnection
	// idle holds those without a request, the one that is so for longest first.
	idle list.List
	// room is closed, and another one made, when a waiting connection may find a
	// place.
	room   chan struct{}
	closed uint64
}

// NewConnections returns bounds of at most limit connections.
func NewConnections(limit int) *Connections {
	return &Connections{limit: limit, open: map[net.Conn]*limitedConnection{}, room: make(chan struct{})}
}

// Open is how many connections are open, and Displaced how many had to make room
// for others until now.
func (c *Connections) Open() (open int, displaced uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open), c.closed
}

// Listen returns a listener for the server, which must serve no other: within the
// bounds it accepts what l accepts. The server may put TLS around it.
func (c *Connections) Listen(server *http.Server, l net.Listener) net.Listener {
	server.ConnState = c.changed
	return &limitedListener{Listener: l, connections: c, ended: make(chan struct{})}
}

// changed is told by a server what state a connection is in. It has a request from
// when the head is here until the reply is on its way.
func (c *Connections) changed(conn net.Conn, state http.ConnState) {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.open[conn]
	if one == nil {
		return
	}
	switch state {
	case http.StateActive:
		c.busy(one)
	case http.StateIdle:
		if one.place == nil {
			one.place = c.idle.PushBack(one)
			c.makeRoom()
		}
	}
}

// busy takes a connection from those that may be displaced.
func (c *Connections) busy(one *limitedConnection) {
	if one.place != nil {
		c.idle.Remove(one.place)
		one.place = nil
	}
}

func (c *Connections) makeRoom() {
	close(c.room)
	c.room = make(chan struct{})
}

// forget ends the count of a connection.
func (c *Connections) forget(one *limitedConnection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[one] == nil {
		return
	}
	delete(c.open, one)
	c.busy(one)
	c.makeRoom()
}

// admit gives a connection a place, for which it may return another that is to be
// closed. Without a place it returns what to wait for.
func (c *Connections) admit(one *limitedConnection) (displaced *limitedConnection, wait <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.limit {
		front := c.idle.Front()
		if front == nil {
			return nil, c.room
		}
		displaced = front.Value.(*limitedConnection) //nolint:forcetypeassert // nothing else is in there
		c.busy(displaced)
		delete(c.open, displaced)
		c.closed++
	}
	c.open[one] = one
	one.place = c.idle.PushBack(one)
	return displaced, nil
}

type limitedListener struct {
	net.Listener
	connections *Connections
	ended       chan struct{}
	endOnce     sync.Once
}

// Accept accepts a connection and waits until it has a place.
func (l *limitedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	one := &limitedConnection{Conn: conn, connections: l.connections}
	for {
		displaced, wait := l.connections.admit(one)
		if displaced != nil {
			_ = displaced.Conn.Close() // its server finds it closed
		}
		if wait == nil {
			return one, nil
		}
		select {
		case <-wait:
		case <-l.ended:
			_ = conn.Close() // nobody will serve it
			return nil, net.ErrClosed
		}
	}
}

// Close closes the listener and wakes an Accept that waits for a place.
func (l *limitedListener) Close() error {
	l.endOnce.Do(func() { close(l.ended) })
	return l.Listener.Close()
}

// limitedConnection gives its place back when it is closed.
type limitedConnection struct {
	net.Conn
	connections *Connections
	// place is where it stands among the idle, nil while it has a request; under
	// Connections.mu.
	place *list.Element
}

// Close closes the connection; a second call does no harm.
func (c *limitedConnection) Close() error {
	err := c.Conn.Close()
	c.connections.forget(c)
	return err
}
