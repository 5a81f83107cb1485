package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

const (
	// dialPause is the time between two attempts to connect.
	dialPause = 100 * time.Millisecond
	// dialReserve is how long before the end of the command connecting is given
	// up, so that it is the refusal that is told and not the end of the time.
	dialReserve = 50 * time.Millisecond
)

// patient returns a client that tries again while connections are refused, as
// they are while a node starts: nothing has been sent then, so nothing can happen
// twice. It gives up with the last refusal shortly before ctx ends.
func (s *session) patient(ctx context.Context) (*http.Client, error) {
	transport, err := s.transport()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{}
	var told sync.Once
	transport.DialContext = func(dialing context.Context, network, address string) (net.Conn, error) {
		deadline, _ := ctx.Deadline()
		for {
			conn, err := dialer.DialContext(dialing, network, address)
			if !errors.Is(err, syscall.ECONNREFUSED) || time.Until(deadline) < dialPause+dialReserve {
				return conn, err
			}
			told.Do(func() {
				fmt.Fprintf(s.err, "%s: nobody listens at %s yet; trying for %v\n", s.spokenName(), address, s.timeout)
			})
			select {
			case <-time.After(dialPause):
			case <-ctx.Done():
				return nil, err
			}
		}
	}
	return &http.Client{Transport: transport}, nil
}
