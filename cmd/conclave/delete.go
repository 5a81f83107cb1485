package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// deleteCommand deletes one key and prints the revision that this made.
func (s *session) deleteCommand() *cobra.Command {
	var options client.DeleteOptions
	cmd := &cobra.Command{
		Use:   "delete NAMESPACE KEY",
		Short: "Delete a key",
		Args:  cobra.ExactArgs(2),
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
			_, err = fmt.Fprintln(s.out, revision)
			return err
		},
	}
	cmd.Flags().Uint64Var(&options.IfRevision, "if-revision", 0, "delete only if this is the key's revision now")
	return cmd
}
