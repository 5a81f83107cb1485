package main

import (
	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// deleteCommand deletes one key and prints the revision that this made.
func (s *session) deleteCommand() *cobra.Command {
	var options client.DeleteOptions
	cmd := &cobra.Command{
		Use:               "delete NAMESPACE KEY",
		Short:             "Delete a key",
		Long:              "Delete a key, and print the revision that this made. Its history stays.",
		Example:           "  conclave delete pay db/url --if-match 42",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completeKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkCondition(cmd); err != nil {
				return err
			}
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			revision, err := c.Delete(ctx, args[0], args[1], options)
			if err != nil {
				return err
			}
			return s.showRevision(revision)
		},
	}
	matchFlag(cmd, &options.IfRevision)
	idempotencyFlag(cmd, &options.IdempotencyKey)
	return cmd
}
