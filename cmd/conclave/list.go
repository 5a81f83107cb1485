package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// listPageItems is how many keys are asked for at a time.
const listPageItems = 1000

// listCommand prints the keys of a namespace.
func (s *session) listCommand() *cobra.Command {
	options := client.ListOptions{Limit: listPageItems}
	var output string
	cmd := &cobra.Command{
		Use:   "list NAMESPACE",
		Short: "List the keys of a namespace",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			show, finish, err := s.lister(output)
			if err != nil {
				return err
			}
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			options.Values = output == "json"
			for page, err := range c.Pages(ctx, args[0], options) {
				if err != nil {
					return err
				}
				for _, entry := range page.Entries {
					if err := show(entry); err != nil {
						return err
					}
				}
				if err := finish(); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&options.Prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, names, or json (an entry a line, with its value)")
	return cmd
}

// lister returns the function that shows one entry in a form of output, and the
// one that ends a page; a table is aligned page by page, so that a long listing
// need not fit into memory.
func (s *session) lister(output string) (show func(client.Entry) error, finish func() error, err error) {
	nothing := func() error { return nil }
	switch output {
	case "names":
		return func(e client.Entry) error {
			_, err := fmt.Fprintln(s.out, e.Key)
			return err
		}, nothing, nil
	case "json":
		encoder := json.NewEncoder(s.out)
		return func(e client.Entry) error { return encoder.Encode(e) }, nothing, nil
	case "table":
		table := newTable(s.out)
		fmt.Fprintln(table, "KEY\tREVISION\tVERSION\tTYPE") // an error stays until Flush
		return func(e client.Entry) error {
			_, err := fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", e.Key, e.Revision, e.Version, e.Type)
			return err
		}, table.Flush, nil
	}
	return nil, nil, fmt.Errorf("--output %s: want table, names or json", output)
}

// newTable returns a writer that aligns columns separated by tabs.
func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 8, 3, ' ', 0) }
