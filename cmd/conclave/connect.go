package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

const (
	// attemptsMax is how often a request is sent at most; --timeout ends it sooner.
	attemptsMax = 10_000
	// pauseMax is the longest pause between two attempts: a person waits.
	pauseMax = time.Second
	// dialTime is how long connecting to one endpoint may take.
	dialTime = 3 * time.Second
)

// open returns a client for the cluster, which the caller closes.
func (s *session) open() (*client.Client, error) {
	if s.timeout <= 0 {
		return nil, fmt.Errorf("--timeout %v: want a time to wait, such as 10s", s.timeout)
	}
	transport, err := s.transport()
	if err != nil {
		return nil, err
	}
	told := false
	patience := cmp.Or(s.patience, fmt.Sprintf("trying for %v", s.timeout))
	c, err := client.New(client.Options{
		Endpoints: s.endpoints, HTTPClient: &http.Client{Transport: transport}, Attempts: attemptsMax, PauseMax: pauseMax,
		OnRetry: func(failure *client.Error, _ time.Duration) {
			if !told {
				fmt.Fprintf(s.err, "%s: %v; %s\n", s.spokenName(), failure, patience)
			}
			told = true
		},
	})
	if err != nil {
		return nil, err
	}
	s.connected = true
	return c, nil
}

// transport returns one that connects to endpoints, over TLS where they want it.
func (s *session) transport() (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: dialTime}).DialContext
	if err := s.tls.Secure(transport); err != nil {
		return nil, fmt.Errorf("--ca, --cert, --cert-key: %w", err)
	}
	return transport, nil
}

// connect returns a client and the context that limits the command. What it
// returns as cancel ends both.
func (s *session) connect(cmd *cobra.Command) (context.Context, context.CancelFunc, *client.Client, error) {
	c, err := s.open()
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	return ctx, func() { cancel(); c.Close() }, c, nil
}

// writing is a client with the time that a write may take.
type writing struct {
	*client.Client
	ctx context.Context
}

// writing carries out a write, and prints the revision that it made.
func (s *session) writing(cmd *cobra.Command, write func(writing) (revision uint64, err error)) error {
	ctx, cancel, c, err := s.connect(cmd)
	if err != nil {
		return err
	}
	defer cancel()
	revision, err := write(writing{c, ctx})
	if err != nil {
		return err
	}
	return s.showRevision(revision)
}
