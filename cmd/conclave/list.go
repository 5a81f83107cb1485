package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// tableRows is how many rows of a listing are aligned together, so that a long
// one need not fit into memory.
const tableRows = 1000

// listCommand prints the keys of a namespace.
func (s *session) listCommand() *cobra.Command {
	var options client.ListOptions
	var names bool
	cmd := &cobra.Command{
		Use:   "list NAMESPACE",
		Short: "List the keys of a namespace",
		Long: `List the keys of a namespace, all as of one revision. With --output json each is a
line with its value; with yaml, a document.`,
		Example:           "  conclave list pay --prefix db/\n  conclave list pay --names",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			options.Values = s.output != outputText
			show, finish := s.lister(names)
			for entry, err := range c.Entries(ctx, args[0], options) {
				if err != nil {
					return err
				}
				if err := show(entry); err != nil {
					return err
				}
			}
			return finish()
		},
	}
	cmd.Flags().StringVar(&options.Prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().BoolVar(&names, "names", false, "print the keys alone")
	complete(cmd, "prefix", s.completePrefix)
	revisionFlag(cmd, &options.ReadOptions)
	readFlags(cmd, &options.ReadOptions)
	return cmd
}

// lister returns the function that shows one entry, and the one that ends the list.
func (s *session) lister(names bool) (show func(*client.Entry) error, finish func() error) {
	nothing := func() error { return nil }
	if s.output != outputText {
		return func(e *client.Entry) error { return s.encode(e) }, nothing
	}
	if names {
		return func(e *client.Entry) error {
			_, err := fmt.Fprintln(s.out, e.Key)
			return err
		}, nothing
	}
	table := newTable(s.out)
	fmt.Fprintln(table, "KEY\tREVISION\tVERSION\tTYPE") // an error stays until Flush
	rows := 0
	return func(e *client.Entry) error {
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", e.Key, e.Revision, e.Version, e.Type)
		if rows++; rows%tableRows == 0 {
			return table.Flush()
		}
		return nil
	}, table.Flush
}
