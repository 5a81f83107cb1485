package main

import (
	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// deleteCommand deletes one key and prints the revision that this made.
func (s *session) deleteCommand() *cobra.Command {
	var options client.DeleteOptions
	var on condition
	cmd := &cobra.Command{
		Use:               "delete NAMESPACE KEY",
		Short:             "Delete a key",
		Long:              "Delete a key, and print the revision that this made. Its history stays.",
		Example:           "  conclave delete pay db/url --if-match 42",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completeKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			options.IfRevision, options.IfExists = on.revision, on.exists
			return s.writing(cmd, func(w writing) (uint64, error) { return w.Delete(w.ctx, args[0], args[1], options) })
		},
	}
	matchFlag(cmd, &on)
	idempotencyFlag(cmd, &options.IdempotencyKey)
	return cmd
}
