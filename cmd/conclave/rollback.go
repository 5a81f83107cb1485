package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// errDeclined is the end of a rollback that the person doesn't want.
var errDeclined = errors.New("nothing was changed: answer yes, or say --yes")

// meanwhileError tells that keys have changed since the person saw what would.
type meanwhileError struct{ key string }

func (e *meanwhileError) Error() string {
	return fmt.Sprintf("nothing was changed: %q has changed since it was shown; look again", e.key)
}

// Is makes it a condition that did not hold.
func (e *meanwhileError) Is(target error) bool { return target == client.ErrChanged }

// rollbackCommand goes back to an earlier revision.
func (s *session) rollbackCommand() *cobra.Command {
	var options client.Rollback
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "rollback NAMESPACE --to REVISION",
		Short: "Make keys what they were at an earlier revision",
		Long: `Make the keys of a namespace what they were at an earlier revision, as one new revision:
history stays. It shows what would change, as diff does, on standard error, and asks;
with --yes it does it at once. What has changed meanwhile is shown again before it is
undone. --timeout counts for each request, not for the answer.`,
		Example: `  conclave rollback pay --to 40 --prefix db/ --reason 'the new password is wrong'
  conclave rollback pay --to 40 --dry-run`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if options.To == 0 {
				return errors.New("--to: want the revision to go back to")
			}
			c, err := s.open()
			if err != nil {
				return err
			}
			defer c.Close()
			if !yes || dryRun {
				if more, err := s.confirm(cmd.Context(), c, args[0], options, dryRun); err != nil || !more {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
			defer cancel()
			result, err := c.Rollback(ctx, args[0], options)
			if err != nil {
				return err
			}
			return s.show(result, func() error {
				_, err := fmt.Fprintln(s.out, result.Revision)
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&options.To, "to", 0, "the revision to go back to")
	flags.StringVar(&options.Prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar(&options.Reason, "reason", "", "why, to be kept with the revision")
	flags.BoolVar(&yes, "yes", false, "don't show what would change, and don't ask")
	flags.BoolVar(&dryRun, "dry-run", false, "change nothing, and show what would change now")
	idempotencyFlag(cmd, &options.IdempotencyKey)
	cmd.MarkFlagsMutuallyExclusive("dry-run", "idempotency-key")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "yes")
	complete(cmd, "prefix", s.completePrefix)
	return cmd
}

// confirm shows what a rollback would change, and asks unless that is all that is
// wanted. more: it is to be carried out.
func (s *session) confirm(ctx context.Context, c *client.Client, namespace string, o client.Rollback, dryRun bool) (more bool, err error) {
	revision, err := s.preview(ctx, c, namespace, o, dryRun)
	if err != nil || revision == 0 || dryRun {
		return false, err
	}
	fmt.Fprintf(s.err, "Make these changes to %s? [y/N] ", namespace)
	answer, err := bufio.NewReader(io.LimitReader(s.in, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return false, errDeclined
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for d, err := range c.Diff(ctx, namespace, client.DiffOptions{Prefix: o.Prefix, From: revision}) {
		if err != nil {
			return false, err
		}
		return false, &meanwhileError{d.Key}
	}
	return true, nil
}

// preview shows what a rollback would change, and returns the revision that this is
// as of, or 0 when it would change nothing.
func (s *session) preview(ctx context.Context, c *client.Client, namespace string, o client.Rollback, dryRun bool) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	revision, err := c.TryRollback(ctx, namespace, o)
	if err != nil {
		return 0, err
	}
	to := s.err
	if dryRun {
		to = s.out // for it is what was asked for
	}
	out := bufio.NewWriter(to)
	count := 0
	for d, err := range c.Diff(ctx, namespace, client.DiffOptions{Prefix: o.Prefix, From: revision, To: o.To}) {
		if err != nil {
			return 0, err
		}
		count++
		if dryRun && s.output != outputText {
			err = s.encode(d)
		} else {
			err = showDifference(out, d)
		}
		if err != nil {
			return 0, err
		}
	}
	if count == 0 {
		fmt.Fprintf(s.err, "%s: nothing differs from revision %d\n", s.spokenName(), o.To)
		return 0, nil
	}
	return revision, out.Flush()
}
