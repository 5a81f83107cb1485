package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// historyCommand prints the versions of a key.
func (s *session) historyCommand() *cobra.Command {
	var options client.ReadOptions
	var count int
	cmd := &cobra.Command{
		Use:   "history NAMESPACE KEY",
		Short: "Show what a key was, newest first",
		Long: `Show the versions of a key that history still has, newest first: the revision, what
was done, when, the media type, the size, and the reason that a rollback gave. With
--output json or yaml each comes with its value. The time is what the leader's clock
showed.`,
		Example:           "  conclave history pay db/url --count 5",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completeKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 0 {
				return fmt.Errorf("--count %d: want how many versions to show, or 0 for all", count)
			}
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			table := newTable(s.out)
			if s.output == outputText {
				fmt.Fprintln(table, "REVISION\tCHANGE\tTIME\tTYPE\tBYTES\tREASON") // an error stays until Flush
			}
			shown := 0
			for version, err := range c.History(ctx, args[0], args[1], options) {
				if err != nil {
					return err
				}
				err := s.show(version, func() error {
					e := version.Entry
					mediaType, size := "-", "-"
					if !version.Deleted {
						mediaType, size = e.Type, fmt.Sprint(len(e.Value))
					}
					_, err := fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n",
						e.Revision, operation(*version), clockTime(version.Time), mediaType, size, cmp.Or(version.Reason, "-"))
					return err
				})
				if err != nil {
					return err
				}
				if shown++; shown == count {
					break
				}
			}
			return table.Flush()
		},
	}
	cmd.Flags().IntVar(&count, "count", 0, "show at most so many; 0 for all")
	readFlags(cmd, &options)
	return cmd
}

// clockTime shows a time as clocks in logs do.
func clockTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
