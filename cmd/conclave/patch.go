package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// patchCommand changes a part of one value and prints the revision that this made.
func (s *session) patchCommand() *cobra.Command {
	var options client.PatchOptions
	var on condition
	var text string
	cmd := &cobra.Command{
		Use:   "patch NAMESPACE KEY [FILE|-] --if-match REVISION",
		Short: "Change a part of a JSON value",
		Long: `Change a part of a JSON value by a merge patch (RFC 7396), and print the revision that
this made. The patch is JSON too, from a file, standard input (-) or --value: members
that are null go, others are set, and lists are replaced as a whole. --if-match says
which value it is for: the revision that was read, or '*' for whatever the value is.`,
		Example: `  conclave patch pay app.json --value '{"pool":16,"debug":null}' --if-match 42
  conclave patch pay app.json change.json --if-match '*' --dry-run`,
		Args:              cobra.RangeArgs(2, 3),
		ValidArgsFunction: s.completeKeyAndFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if on.revision == 0 && !on.exists {
				return errors.New("--if-match: want the revision of the value that the patch is for, or '*' for whatever it is")
			}
			patch, _, err := s.value(cmd, args[2:], text)
			if err != nil {
				return err
			}
			options.IfRevision, options.IfExists = on.revision, on.exists
			return s.writing(cmd, func(w writing) (uint64, error) { return w.Patch(w.ctx, args[0], args[1], patch, options) })
		},
	}
	cmd.Flags().StringVar(&text, "value", "", "the patch itself")
	matchFlag(cmd, &on)
	idempotencyFlag(cmd, &options.IdempotencyKey)
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "write nothing, and tell whether it would be written now; the revision is the store's")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "idempotency-key")
	return cmd
}
