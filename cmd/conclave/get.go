package main

import (
	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// getCommand prints one value, byte for byte.
func (s *session) getCommand() *cobra.Command {
	var options client.ReadOptions
	cmd := &cobra.Command{
		Use:   "get NAMESPACE KEY",
		Short: "Print the value of a key",
		Long: `Print the value of a key, byte for byte, or with --output json or yaml the whole
entry with its revision.`,
		Example:           "  conclave get pay db/url\n  conclave get pay db/url --consistency local --output json\n  conclave get pay db/url --revision 42",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completeKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			entry, err := c.Get(ctx, args[0], args[1], options)
			if err != nil {
				return err
			}
			return s.show(entry, func() error {
				_, err := s.out.Write(entry.Value)
				return err
			})
		},
	}
	revisionFlag(cmd, &options)
	readFlags(cmd, &options)
	return cmd
}
