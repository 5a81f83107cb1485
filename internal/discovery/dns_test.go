package discovery_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

const service = "cfg-peers.prod.svc"

// An answer is what the name server says when it is asked for the peers.
type answer struct {
	code    dnsmessage.RCode
	targets []target
}

// A target is one SRV record.
type target struct {
	host string
	port uint16
}

// pods returns the answer of a service that publishes these pods.
func pods(names ...string) answer {
	var a answer
	for _, name := range names {
		a.targets = append(a.targets, target{name + "." + service + ".cluster.local.", 8401})
	}
	return a
}

var (
	noSuchName = answer{code: dnsmessage.RCodeNameError}
	failure    = answer{code: dnsmessage.RCodeServerFailure}
)

// A nameServer is a DNS server on loopback that says what its script holds. It
// goes to the next line of the script when it is told to, so that a line holds
// for as many questions as a resolver asks in one lookup.
type nameServer struct {
	t    *testing.T
	conn net.PacketConn
	done chan struct{}

	mu     sync.Mutex
	script []answer
}

// serve starts a name server and stops it when the test ends.
func serve(t *testing.T, script ...answer) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{t: t, conn: conn, done: make(chan struct{}), script: script}
	go s.run()
	t.Cleanup(func() {
		s.conn.Close()
		<-s.done
	})
	return s
}

// resolver returns a resolver that asks this server alone.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// next goes to the next line of the script; the last one stays.
func (s *nameServer) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.script) > 1 {
		s.script = s.script[1:]
	}
}

func (s *nameServer) run() {
	defer close(s.done)
	packet := make([]byte, 1232)
	for {
		n, client, err := s.conn.ReadFrom(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.t.Errorf("name server: %v", err)
			return
		}
		reply, err := s.reply(packet[:n])
		if err != nil {
			s.t.Errorf("name server: %v", err)
			return
		}
		if _, err := s.conn.WriteTo(reply, client); err != nil && !errors.Is(err, net.ErrClosed) {
			s.t.Errorf("name server: %v", err)
			return
		}
	}
}

// reply answers one question. A resolver may append the search domains of the
// machine, so the name is compared without what follows the service.
func (s *nameServer) reply(packet []byte) ([]byte, error) {
	var query dnsmessage.Message
	if err := query.Unpack(packet); err != nil {
		return nil, err
	}
	s.mu.Lock()
	now := s.script[0]
	s.mu.Unlock()

	question := query.Questions[0]
	reply := dnsmessage.Message{Questions: query.Questions[:1]}
	reply.Header = dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true, RCode: now.code}
	if question.Type != dnsmessage.TypeSRV || !strings.HasPrefix(question.Name.String(), "_peer._tcp."+service+".") {
		reply.RCode = dnsmessage.RCodeNameError
		return reply.Pack()
	}
	for _, target := range now.targets {
		host, err := dnsmessage.NewName(target.host)
		if err != nil {
			return nil, err
		}
		reply.Answers = append(reply.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.SRVResource{Port: target.port, Target: host},
		})
	}
	return reply.Pack()
}
