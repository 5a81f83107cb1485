package main

import (
	"errors"

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

// matchFlag adds the condition on a key's revision.
func matchFlag(cmd *cobra.Command, revision *uint64) {
	cmd.Flags().Uint64Var(revision, "if-match", 0, "change the key only if this is its revision now")
}

// idempotencyFlag adds the name by which nodes know a write again.
func idempotencyFlag(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "idempotency-key", "",
		"a name for this write, 1 to 255 characters: sent again within ten minutes it gets its first answer")
}

// checkCondition refuses a condition that would silently be none.
func checkCondition(cmd *cobra.Command) error {
	flag := cmd.Flag("if-match")
	if flag.Changed && flag.Value.String() == "0" {
		return errors.New("--if-match 0: no key has this revision; to write only what is absent, put --if-absent")
	}
	return nil
}

// complete sets what completes the value of a flag.
func complete(cmd *cobra.Command, flag string, values cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic("conclave: " + err.Error()) // the flag was added a line before
	}
}
