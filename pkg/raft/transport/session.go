package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/conclave-dev/conclave/pkg/raft/wire"
)

// bufferBytes is the size of the buffers on both sides of a connection.
const bufferBytes = 64 << 10

// traffic counts the bytes of a peer's connections.
type traffic struct {
	in, out atomic.Uint64
}

// stream is a connection whose reads and writes have a time limit each, and
// are counted.
type stream struct {
	net.Conn
	traffic *traffic
	// readTimeout and writeTimeout are the limits; 0 leaves the deadline alone.
	readTimeout  time.Duration
	writeTimeout time.Duration
	// clogged is set when something could not be written.
	clogged atomic.Bool
}

func (s *stream) Read(p []byte) (int, error) {
	if s.readTimeout > 0 {
		if err := s.SetReadDeadline(time.Now().Add(s.readTimeout)); err != nil {
			return 0, err
		}
	}
	n, err := s.Conn.Read(p)
	s.traffic.in.Add(uint64(n))
	return n, err
}

func (s *stream) Write(p []byte) (int, error) {
	if s.writeTimeout > 0 {
		if err := s.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err != nil {
			return 0, err
		}
	}
	n, err := s.Conn.Write(p)
	s.traffic.out.Add(uint64(n))
	if err != nil {
		s.clogged.Store(true)
	}
	return n, err
}

// Close closes the connection. Where nothing could be written any more, TLS would
// try for seconds to say farewell, and hold up whoever wants to connect anew.
func (s *stream) Close() error {
	if secured, ok := s.Conn.(*tls.Conn); ok && s.clogged.Load() {
		return secured.NetConn().Close()
	}
	return s.Conn.Close()
}

// session is a connection with a peer, before or after the handshake. One
// goroutine may read while another one writes.
type session struct {
	stream   *stream
	buffered *bufio.Writer
	reader   *wire.Reader
	writer   *wire.Writer
	// detach ends the tie between the connection and the transport's life.
	detach func() bool
}

// newSession wraps conn and closes it when ctx ends, which is what frees
// goroutines that are reading or writing then.
func newSession(ctx context.Context, conn net.Conn) *session {
	s := &session{stream: &stream{Conn: conn, traffic: new(traffic)}}
	s.buffered = bufio.NewWriterSize(s.stream, bufferBytes)
	s.writer = wire.NewWriter(s.buffered)
	s.reader = wire.NewReader(bufio.NewReaderSize(s.stream, bufferBytes), wire.MaxHelloBytes)
	s.detach = context.AfterFunc(ctx, func() { _ = s.stream.Close() })
	return s
}

// admit prepares a session for what follows the handshake.
func (s *session) admit(t *traffic, limit int, readTimeout, writeTimeout time.Duration) error {
	t.in.Add(s.stream.traffic.in.Load())
	t.out.Add(s.stream.traffic.out.Load())
	s.stream.traffic = t
	s.stream.readTimeout, s.stream.writeTimeout = readTimeout, writeTimeout
	s.reader.SetLimit(limit)
	return s.stream.SetDeadline(time.Time{})
}

// send flushes what write wrote.
func (s *session) send(write func(*wire.Writer) error) error {
	if err := write(s.writer); err != nil {
		return err
	}
	return s.buffered.Flush()
}

func (s *session) close() {
	s.detach()
	_ = s.stream.Close()
}

// explain adds why ctx ended to an error that is, in all likelihood, only the
// consequence of that.
func explain(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}
