package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/internal/node"
)

// recoverSettings are the flags of a recovery.
type recoverSettings struct {
	options node.RecoverOptions
	log     logSettings
}

func newRecoverCommand() *cobra.Command {
	var s recoverSettings
	c := &cobra.Command{
		Use:   "recover",
		Short: "Make one surviving member a cluster of its own, after a majority was lost for good",
		Long: `Make one surviving member the only member of a new cluster, with everything that its
log holds, after a majority of the voters was lost for good. It grows from there as any
cluster does.

What was acknowledged and is not in this member's log is lost. If members that may hold
more can be brought back, bring them back instead. Of several survivors, recover the one
whose last term, then last index, is highest, and wipe the others.

Revisions jump far ahead, so that none of those that were lost ever names another
value; what clients remember of the old cluster is refused as changed.

Without --cluster-id it recovers nothing and shows what there is. For that it opens the
directory as a start does, which counts the start, and sets a log aside of which nothing
can be used. The node must be stopped. The old files are kept in the data directory, in before-recovery-...; there must
be space for both. Given twice, the same command does nothing the second time.`,
		Example: `  node recover --data-dir /var/lib/a
  node recover --data-dir /var/lib/a --cluster-id 5f1c... --confirm /var/lib/a --accept-data-loss`,
		Args:          noArguments,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return s.run(c) },
	}
	f, o := c.Flags(), &s.options
	f.StringVar(&o.DataDir, "data-dir", "", "data directory of the survivor (required)")
	f.StringVar(&o.ClusterID, "cluster-id", "", "ID of the new cluster, 32 hexadecimal digits other than the old one's")
	f.StringVar(&o.Address, "address", "", "host:port at which other nodes reach the survivor (default: as before)")
	f.StringVar(&o.Confirm, "confirm", "", "the data directory again")
	f.BoolVar(&o.AcceptDataLoss, "accept-data-loss", false, "what this member doesn't hold is lost, and that is accepted")
	s.log.flags(c)
	s.log.level = "warn"
	f.Lookup("log-level").DefValue = "warn"
	return c
}

func (s *recoverSettings) run(c *cobra.Command) error {
	o := &s.options
	logger, err := s.log.logger(c.ErrOrStderr())
	if err != nil {
		return err
	}
	o.Logger = logger
	if o.ClusterID == "" {
		if o.Confirm != "" || o.AcceptDataLoss {
			return errors.New("cluster-id: is missing; without it nothing is recovered")
		}
		return s.show(c.OutOrStdout())
	}
	if err := node.Recover(c.Context(), *o); err != nil {
		return err
	}
	plan, err := node.PlanRecovery(*o)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), `%s is now member %s, alone in cluster %s.
Start it without --cluster-id or with the new one. Empty the data directories of all
other nodes, start them with --initial-state existing --cluster-id %s and, unless
--initial-peers names them, --address; then add them: conclave members add --node URL
--promote. From then on these are their flags: the old ones would wait for the old cluster.
`, plan.Name, plan.MemberID, plan.ClusterID, plan.ClusterID)
	return err
}

// show tells what a recovery would mean.
func (s *recoverSettings) show(out io.Writer) error {
	plan, err := node.PlanRecovery(s.options)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `Data directory %s
  node %s, member %s of cluster %s
  last entry %d of term %d, known to be committed up to %d
`, s.options.DataDir, plan.Name, plan.MemberID, plan.ClusterID, plan.LastIndex, plan.LastTerm, plan.CommitIndex)
	if plan.Parked {
		fmt.Fprintln(out, "  ITS STATE DIFFERED from those of the other members: what it holds may be wrong")
	}
	if plan.MissingIndex != 0 {
		fmt.Fprintf(out, "  ITS DISK HAS LOST entries that it had acknowledged: up to entry %d of term %d\n", plan.MissingIndex, plan.MissingTerm)
	}
	fmt.Fprintf(out, `
A recovery keeps all entries up to %d, committed or not. Lost would be
  everything acknowledged after entry %d
`, plan.LastIndex, plan.LastIndex)
	for _, m := range plan.Gone {
		fmt.Fprintf(out, "  %s, member %s at %s: it can't come back but with an empty disk\n", m.Name, m.ID, m.Address)
	}
	_, err = fmt.Fprintf(out, `
Nothing was recovered. If the members above are lost for good, and no other survivor has a
higher last term or, in the same term, a higher last entry:

  node recover --data-dir %s --cluster-id %s \
       --confirm %s --accept-data-loss
`, s.options.DataDir, node.NewClusterID(), s.options.DataDir)
	return err
}
