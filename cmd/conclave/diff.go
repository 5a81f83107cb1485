package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// contextLines are shown around what differs within a value.
const contextLines = 3

// diffCommand prints what differs between two revisions.
func (s *session) diffCommand() *cobra.Command {
	var options client.DiffOptions
	cmd := &cobra.Command{
		Use:   "diff NAMESPACE --from REVISION",
		Short: "Show what differs between two revisions",
		Long: `Show which keys differ between two revisions, with the lines of their values that
do: - before, + after. Without --to, the second is the newest.`,
		Example:           "  conclave diff pay --from 40\n  conclave diff pay --from 40 --to 48 --prefix db/",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if options.From == 0 {
				return errors.New("--from: want the revision to compare with")
			}
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			out := bufio.NewWriter(s.out)
			for difference, err := range c.Diff(ctx, args[0], options) {
				if err != nil {
					return err
				}
				if err := s.show(difference, func() error { return showDifference(out, difference) }); err != nil {
					return err
				}
			}
			return out.Flush()
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&options.From, "from", 0, "the revision before")
	flags.Uint64Var(&options.To, "to", 0, "the revision after; the newest without it")
	flags.StringVar(&options.Prefix, "prefix", "", "only keys that begin with this")
	complete(cmd, "prefix", s.completePrefix)
	readFlags(cmd, &options.ReadOptions)
	return cmd
}

// showDifference prints one key's difference. An error of the buffer stays until it
// is flushed.
func showDifference(out *bufio.Writer, d *client.Difference) error {
	word, before, after := "modified", d.Before, d.After
	switch {
	case before == nil:
		word, before = "created", &client.Entry{}
	case after == nil:
		word, after = "deleted", &client.Entry{}
	}
	fmt.Fprintf(out, "%s %s\n", word, d.Key)
	if d.Reason != "" {
		fmt.Fprintf(out, "  reason: %s\n", d.Reason)
	}
	if d.Before != nil && d.After != nil && before.Type != after.Type {
		fmt.Fprintf(out, "  type: %s, was %s\n", after.Type, before.Type)
	}
	if !utf8.Valid(before.Value) || !utf8.Valid(after.Value) {
		fmt.Fprintf(out, "  bytes: %d, were %d\n", len(after.Value), len(before.Value))
		return nil
	}
	showLines(out, textLines(before.Value), textLines(after.Value))
	return nil
}

// textLines splits a text into lines without their ends.
func textLines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// showLines prints what lies between the lines that both have at the beginning and
// at the end.
func showLines(out io.Writer, before, after []string) {
	same := 0
	for same < min(len(before), len(after)) && before[same] == after[same] {
		same++
	}
	tail := 0
	for tail < min(len(before), len(after))-same && before[len(before)-1-tail] == after[len(after)-1-tail] {
		tail++
	}
	if len(before)+len(after) == 2*same {
		return // a newline at the end is all
	}
	print := func(mark string, lines []string) {
		for _, line := range lines {
			fmt.Fprintf(out, "%s %s\n", mark, line)
		}
	}
	first := max(0, same-contextLines)
	if first > 0 {
		fmt.Fprintf(out, "  (line %d)\n", first+1)
	}
	print(" ", before[first:same])
	print("-", before[same:len(before)-tail])
	print("+", after[same:len(after)-tail])
	print(" ", after[len(after)-tail:min(len(after), len(after)-tail+contextLines)])
}
