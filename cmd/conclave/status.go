package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// statusCommand prints the cluster as the node that answers sees it.
func (s *session) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "status",
		Short:             "Show the cluster as the node at the endpoint sees it",
		Example:           "  conclave status --output json",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			cluster, err := c.Cluster(ctx)
			if err != nil {
				return err
			}
			return s.show(cluster, func() error { return s.showCluster(cluster) })
		},
	}
}

// showCluster prints the cluster, then its members.
func (s *session) showCluster(c *client.Cluster) error {
	leader := c.Leader
	if leader == "" {
		leader = "none known"
	}
	ready := "ready"
	if !c.Ready {
		ready = "not ready: " + c.NotReadyReason
	}
	table := newTable(s.out) // an error stays until Flush
	fmt.Fprintf(table, "Cluster:\t%s\nLeader:\t%s, term %d\nRevision:\t%d\n", c.ClusterID, leader, c.Term, c.Revision)
	fmt.Fprintf(table, "Answered by:\t%s, version %s, applied %d of %d committed, %s\n\n",
		c.Name, c.Version, c.AppliedIndex, c.CommitIndex, ready)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(table, "MEMBER\tROLE\tID\tHEARD FROM")
	for _, m := range c.Members {
		role, heard := m.Role, "-" // only the leader knows
		switch {
		case m.Name == c.Leader:
			role += ", leader"
		case m.SinceContactMillis != nil:
			heard = fmt.Sprintf("%d ms ago", *m.SinceContactMillis)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", m.Name, role, m.MemberID, heard)
	}
	return table.Flush()
}
