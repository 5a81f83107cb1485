package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// watchCommand prints what happens to the keys of a namespace.
func (s *session) watchCommand() *cobra.Command {
	var options client.WatchOptions
	var count int
	cmd := &cobra.Command{
		Use:   "watch NAMESPACE",
		Short: "Print changes as they happen",
		Long: `Print what happens to the keys of a namespace, from now on, after the revision of
--from, or with --initial from the state on: a line a key, with its revision, put or
delete, and the key. With --output json or yaml each revision is one event with its
values. It goes on at another node when one is lost, and ends when it is interrupted,
after --count events, or when history no longer has what follows; --timeout doesn't
count. The state ends with "sync"; after "resync" it begins anew, and what was
printed before doesn't count.`,
		Example: `  conclave watch pay --prefix db/
  conclave watch pay --initial --output json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 0 {
				return fmt.Errorf("--count %d: want how many events to wait for, or 0 for all", count)
			}
			if options.Initial && options.From != 0 {
				return errors.New("--initial and --from exclude each other: begin with the state, or after a revision")
			}
			s.patience = "trying on"
			c, err := s.open()
			if err != nil {
				return err
			}
			defer c.Close()
			told := 0
			for event, err := range c.Watch(cmd.Context(), args[0], options) {
				if cmd.Context().Err() != nil {
					return nil // interrupted, as it is meant to end
				}
				if err != nil {
					return err
				}
				if event.Kind == client.EventBookmark {
					continue
				}
				if err := s.show(shownEvent{event.Kind, event.Revision, event.Changes}, func() error { return s.showEvent(event) }); err != nil {
					return err
				}
				if told++; told == count {
					return nil
				}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Prefix, "prefix", "", "only keys that begin with this")
	flags.Uint64Var(&options.From, "from", 0, "begin after this revision")
	flags.BoolVar(&options.Initial, "initial", false, "begin with the keys as they are")
	flags.IntVar(&count, "count", 0, "end after so many events; 0 for never")
	complete(cmd, "prefix", s.completePrefix)
	readFlags(cmd, &options.ReadOptions)
	return cmd
}

// shownEvent is an event as programs read it.
type shownEvent struct {
	Event client.EventKind `json:"event"`
	// Revision is 0 for a part of the state.
	Revision uint64          `json:"revision,omitempty"`
	Changes  []client.Change `json:"changes,omitempty"`
}

// showEvent prints an event for people.
func (s *session) showEvent(event *client.Event) error {
	if event.Kind != client.EventChange {
		_, err := fmt.Fprintf(s.out, "%d %s\n", event.Revision, event.Kind)
		return err
	}
	for _, change := range event.Changes {
		if _, err := fmt.Fprintf(s.out, "%d %s %s\n", change.Entry.Revision, operation(change), change.Entry.Key); err != nil {
			return err
		}
	}
	return nil
}

// operation is what a change did, in a word.
func operation(change client.Change) string {
	if change.Deleted {
		return "delete"
	}
	return "put"
}
