package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// getCommand prints one value, byte for byte.
func (s *session) getCommand() *cobra.Command {
	var options client.GetOptions
	var local, meta bool
	cmd := &cobra.Command{
		Use:   "get NAMESPACE KEY",
		Short: "Print the value of a key",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			if local {
				options.Consistency = client.Local
			}
			entry, err := c.Get(ctx, args[0], args[1], options)
			if err != nil {
				return err
			}
			if meta {
				return json.NewEncoder(s.out).Encode(entry)
			}
			_, err = s.out.Write(entry.Value)
			return err
		},
	}
	cmd.Flags().BoolVar(&local, "local", false, "take what the node has, even without a quorum; it may be old")
	cmd.Flags().BoolVar(&meta, "meta", false, "print the whole entry as JSON")
	return cmd
}
