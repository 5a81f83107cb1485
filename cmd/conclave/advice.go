package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/internal/admin"
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
	exitDamaged  = 6
)

// exitStatus returns the status for the error of a command that asked a cluster.
func exitStatus(err error) int {
	var failure *client.Error
	var problem *admin.Problem
	var member *memberError
	var differ *differError
	var unknown *unknownError
	switch {
	case errors.As(err, &differ), errors.As(err, &problem) && problem.Code == "damaged":
		return exitDamaged
	case errors.As(err, &unknown), problem != nil && problem.Outcome == admin.OutcomeUnknown:
		return exitUnknown
	case errors.As(err, &member) && member.missing, problem != nil && problem.Code == "not_member":
		return exitNotFound
	case problem != nil && problem.Code == admin.CodeMembershipChanged:
		return exitChanged
	case errors.Is(err, client.ErrNotFound):
		return exitNotFound
	case errors.Is(err, client.ErrChanged):
		return exitChanged
	case errors.As(err, &failure) && failure.Outcome == client.Unknown:
		return exitUnknown
	}
	return exitFailure
}

// advice says what to do next about an error of a command, or nothing when the error
// says it itself.
func (s *session) advice(called *cobra.Command, err error) string {
	var failure *client.Error
	if !errors.As(err, &failure) {
		if s.aboutMembers {
			return s.membersAdvice(err)
		}
		return ""
	}
	switch {
	case errors.Is(err, client.CodeNoSchema):
		return fmt.Sprintf("To see which schemas there are: %s schema list NAMESPACE", s.spokenName())
	case errors.Is(err, client.CodeNoSettings):
		return fmt.Sprintf("It keeps to those of the store: %s settings get", s.spokenName())
	case errors.Is(err, client.ErrNotFound):
		return fmt.Sprintf("To see which keys there are: %s list NAMESPACE", s.spokenName())
	case errors.Is(err, client.ErrChanged) && (failure.CurrentRevision == 0 || called.Flag("if-match") == nil):
		return "It is not as the condition wants it. Read it, and write again if you still want to."
	case errors.Is(err, client.ErrChanged):
		return fmt.Sprintf("It is at revision %d now. Read it, and if you still want to write: --if-match %d",
			failure.CurrentRevision, failure.CurrentRevision)
	case errors.Is(err, client.CodeSchema):
		return violationLines(failure.Violations)
	case errors.Is(err, client.CodeQuota):
		return fmt.Sprintf("To see what is held: %s usage, and %s usage NAMESPACE. Delete something, or raise the quota with %s settings set.",
			s.spokenName(), s.spokenName(), s.spokenName())
	case errors.Is(err, client.CodePruned) && failure.OldestRevision != 0:
		return fmt.Sprintf("The oldest revision that can still be read is %d.", failure.OldestRevision)
	case failure.Outcome == client.Unknown && called.Name() == "import":
		return "" // which has said that it can be run again
	case failure.Outcome == client.Unknown && called.Flag("idempotency-key") == nil:
		return "Read what is there before you write again."
	case failure.Outcome == client.Unknown:
		return "Read the key before you write again. With --idempotency-key, the same command can be given again."
	case failure.Status == 0 && errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("Nobody answered at %s within %v. Wait longer with --timeout, or ask another node with --endpoint.", s.where(), s.timeout)
	case failure.Status == 0:
		return fmt.Sprintf("Does a node serve clients at %s? Name another with --endpoint or CONCLAVE_ENDPOINT.", s.where())
	case failure.RetryAfter > 0:
		return fmt.Sprintf("Try again in %v.", failure.RetryAfter)
	case failure.Retryable:
		return "Try again in a moment."
	}
	return ""
}

// violationLines tells where values don't satisfy a schema, a line a place.
func violationLines(violations []client.Violation) string {
	var lines []string
	for _, v := range violations {
		at := cmp.Or(v.Pointer, "the whole value")
		if v.Key != "" {
			at = v.Key + ": " + at
		}
		lines = append(lines, fmt.Sprintf("  %s %s", at, v.Message))
	}
	return strings.Join(lines, "\n")
}

// where names the endpoints.
func (s *session) where() string { return strings.Join(s.endpoints, ", ") }

// membersAdvice is advice for the commands about members.
func (s *session) membersAdvice(err error) string {
	var problem *admin.Problem
	var elsewhere *elsewhereError
	var member *memberError
	var differ *differError
	var unknown *unknownError
	list := s.spokenName() + " members list"
	switch {
	case errors.As(err, &differ):
		return "Keep the data of all nodes, stop those that are in the minority, and report it: equal logs must give equal states."
	case errors.As(err, &unknown), errors.As(err, &problem) && problem.Outcome == admin.OutcomeUnknown:
		return "It may have been done, or may yet be. Look before you try again: " + list
	case errors.As(err, &elsewhere) && elsewhere.leader != "":
		return fmt.Sprintf("Name the operations port of %s too: --ops URL,URL. Its address is in: %s", elsewhere.leader, list)
	case errors.As(err, &elsewhere):
		return "A majority of the voters must run and reach each other before anything can change."
	case errors.As(err, &member) && member.missing:
		return "To see the members: " + list
	case problem != nil && problem.Code == "unauthorized":
		return "Is it the token of this cluster? Give another with --token-file or CONCLAVE_ADMIN_TOKEN."
	case problem != nil && problem.Retryable:
		return "Try again in a moment."
	case problem != nil || member != nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("Nobody answered within %v. Wait longer with --timeout, or name other nodes with --ops.", s.timeout)
	default:
		return "Do nodes serve operations there? Name others with --ops or CONCLAVE_OPS."
	}
}
