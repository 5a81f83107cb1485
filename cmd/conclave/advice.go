package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/conclave-dev/conclave/pkg/client"
)

// Exit statuses; doc.go tells users of them.
const (
	exitOK       = 0
	exitFailure  = 1
	exitUsage    = 2
	exitNotFound = 3
	exitChanged  = 4
	exitUnknown  = 5
)

// exitStatus returns the status for the error of a command that asked a cluster.
func exitStatus(err error) int {
	var failure *client.Error
	switch {
	case errors.Is(err, client.ErrNotFound):
		return exitNotFound
	case errors.Is(err, client.ErrChanged):
		return exitChanged
	case errors.As(err, &failure) && failure.Outcome == client.Unknown:
		return exitUnknown
	}
	return exitFailure
}

// advice says what to do next about an error, or nothing when the error says it
// itself.
func (s *session) advice(err error) string {
	var failure *client.Error
	if !errors.As(err, &failure) {
		return ""
	}
	switch {
	case errors.Is(err, client.ErrNotFound):
		return fmt.Sprintf("To see which keys there are: %s list NAMESPACE", s.spokenName())
	case errors.Is(err, client.ErrChanged) && failure.CurrentRevision == 0:
		return "The key is not as the condition wants it. Read it, and write again if you still want to."
	case errors.Is(err, client.ErrChanged):
		return fmt.Sprintf("The key is at revision %d now. Read it, and if you still want to write: --if-revision %d",
			failure.CurrentRevision, failure.CurrentRevision)
	case failure.Outcome == client.Unknown:
		return "Read the key before you write again."
	case failure.Status == 0 && errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("Nobody answered at %s within %v. Wait longer with --timeout, or ask another node with --endpoint.", s.endpoint, s.timeout)
	case failure.Status == 0:
		return fmt.Sprintf("Does a node serve clients at %s? Name another with --endpoint or CONCLAVE_ENDPOINT.", s.endpoint)
	case failure.RetryAfter > 0:
		return fmt.Sprintf("Try again in %v.", failure.RetryAfter)
	case failure.Retryable:
		return "Try again in a moment."
	}
	return ""
}
