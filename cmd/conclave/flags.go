package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// revisionFlag adds the flag for an answer about the past.
func revisionFlag(cmd *cobra.Command, o *client.ReadOptions) {
	cmd.Flags().Uint64Var(&o.Revision, "revision", 0, "as of this revision instead of the newest")
}

// readFlags adds the flags that say how fresh an answer has to be.
func readFlags(cmd *cobra.Command, o *client.ReadOptions) {
	flags := cmd.Flags()
	flags.StringVar((*string)(&o.Consistency), "consistency", "",
		"how fresh: linear (the default), session with --min-revision, bounded with --max-staleness, or local, without a quorum too")
	flags.Uint64Var(&o.MinRevision, "min-revision", 0, "wait until the node has got to this revision")
	flags.DurationVar(&o.MaxStaleness, "max-staleness", 0, "how old the answer may be, such as 2s")
	cmd.MarkFlagsMutuallyExclusive("min-revision", "max-staleness")
	complete(cmd, "consistency", cobra.FixedCompletions(
		[]string{"linear", "session", "bounded", "local"}, cobra.ShellCompDirectiveNoFileComp))
}

// condition is the value of --if-match: what must be there.
type condition struct {
	// revision is the one that it must have, 0 for any.
	revision uint64
	// exists: it must be there, whatever it is.
	exists bool
}

// Set, String and Type make it a flag's value. An entity tag, which has quotes around
// the revision, will do too.
func (c *condition) Set(text string) error {
	if text == "*" {
		*c = condition{exists: true}
		return nil
	}
	revision, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 64)
	switch {
	case err != nil:
		return errors.New("want a revision, or '*' for whatever is there")
	case revision == 0:
		return errors.New("no key has this revision; to write only what is absent, put --if-absent")
	}
	*c = condition{revision: revision}
	return nil
}

func (c *condition) String() string {
	switch {
	case c.exists:
		return "*"
	case c.revision != 0:
		return strconv.FormatUint(c.revision, 10)
	}
	return ""
}

// Type is the name of the kind of value in help.
func (c *condition) Type() string { return "REVISION" }

// matchFlag adds the condition on what is written.
func matchFlag(cmd *cobra.Command, on *condition) {
	cmd.Flags().Var(on, "if-match", "change it only if this is its revision now, or '*': only if it is there")
	complete(cmd, "if-match", cobra.NoFileCompletions)
}

// idempotencyFlag adds the name by which nodes know a write again.
func idempotencyFlag(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "idempotency-key", "",
		"a name for this write, 1 to 255 characters: sent again within ten minutes it gets its first answer")
}

// complete sets what completes the value of a flag.
func complete(cmd *cobra.Command, flag string, values cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic("conclave: " + err.Error()) // the flag was added a line before
	}
}
