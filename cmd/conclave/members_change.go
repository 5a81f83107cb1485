package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/internal/admin"
)

// changing is a command that changes the membership, and shows what came of it.
func (c *council) changing(change func(ctx context.Context, args []string) (*admin.Membership, string, error)) func(*cobra.Command, []string) error {
	return c.asking(func(ctx context.Context, args []string) error {
		membership, done, err := change(ctx, args)
		if err != nil {
			return err
		}
		return c.showChange(membership, done)
	})
}

// showChange prints what was done and what the membership is now.
func (c *council) showChange(membership *admin.Membership, done string) error {
	if c.output != outputText {
		return c.encode(membership)
	}
	voters, learners := 0, 0
	for _, m := range membership.Members {
		if m.Role == "Voter" {
			voters++
		} else {
			learners++
		}
	}
	_, err := fmt.Fprintf(c.out, "%s; the cluster has %d voters and %d learners\n", done, voters, learners)
	return err
}

// addCommand adds a node that waits for it.
func (c *council) addCommand() *cobra.Command {
	var node string
	var promote bool
	cmd := &cobra.Command{
		Use:   "add {--node URL | ID NAME ADDRESS}",
		Short: "Add a node as a learner, and with --promote make it a voter when it has caught up",
		Long: `Add a node that waits to be added: one that was started with --initial-state existing,
or whose disk was wiped. --node names its operations port, which tells the rest;
otherwise give its member ID, its name and the address at which its peers reach it.
A learner receives the log and does not vote. Where a disk was wiped, remove the old
member first, by its ID: a node that is a voter already can't become another one.`,
		Example:           "  conclave members add --node http://cfg-3:8402 --promote\n  conclave members add 00000000000000dd cfg-3 cfg-3:8401",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(cmd *cobra.Command, args []string) error {
			if node != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(3)(cmd, args)
		},
		RunE: c.changing(func(ctx context.Context, args []string) (*admin.Membership, string, error) {
			member, err := c.newMember(ctx, node, args)
			if err != nil {
				return nil, "", err
			}
			membership, err := c.apply(ctx, func(*admin.Status) (admin.Change, error) {
				return admin.Change{Kind: admin.AddLearner, Member: member}, nil
			})
			if err != nil || !promote {
				return membership, fmt.Sprintf("added %s (%s) as a learner", member.Name, member.MemberID), err
			}
			membership, err = c.promote(ctx, member.MemberID, true)
			return membership, fmt.Sprintf("added %s (%s) and made it a voter", member.Name, member.MemberID), err
		}),
	}
	cmd.Flags().StringVar(&node, "node", "", "operations port of the node that waits")
	cmd.Flags().BoolVar(&promote, "promote", false, "wait until it has caught up, and make it a voter")
	return cmd
}

// newMember is whom to add: what the waiting node says of itself, or what was
// given.
func (c *council) newMember(ctx context.Context, node string, args []string) (admin.NewMember, error) {
	if node == "" {
		return admin.NewMember{MemberID: args[0], Name: args[1], Address: args[2]}, nil
	}
	patient, err := c.patient(ctx) // it may have been started a moment ago
	if err != nil {
		return admin.NewMember{}, err
	}
	client := c.client(node)
	client.HTTPClient = patient
	status, err := client.Status(ctx)
	if err != nil {
		return admin.NewMember{}, err
	}
	if status.State != admin.StateAwaitingAdd {
		return admin.NewMember{}, &memberError{text: fmt.Sprintf("node %s at %s does not wait to be added: its state is %s; if it is a learner already, `members promote` gives it a vote", status.Name, node, status.State)}
	}
	return admin.NewMember{MemberID: status.MemberID, Name: status.Name, Address: status.Address}, nil
}

// apply makes the change that decide wants for the membership as it is, and
// decides anew while the leader or the membership changes under it.
func (c *council) apply(ctx context.Context, decide func(*admin.Status) (admin.Change, error)) (*admin.Membership, error) {
	for {
		client, status, err := c.leader(ctx)
		if err != nil {
			return nil, err
		}
		change, err := decide(status)
		if err != nil {
			return nil, err
		}
		change.IfIndex = status.MembershipIndex
		membership, err := client.ChangeMembership(ctx, change)
		if err == nil {
			return membership, nil
		}
		problem := (*admin.Problem)(nil)
		if !errors.As(err, &problem) {
			return nil, unsure(err)
		}
		if problem.Outcome == admin.OutcomeUnknown || !problem.Retryable && problem.Code != admin.CodeNotLeader && problem.Code != admin.CodeMembershipChanged {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(membersPause):
		}
	}
}

// unknownError tells that a request was sent and no answer came.
type unknownError struct{ error }

// Unwrap returns why no answer came.
func (e *unknownError) Unwrap() error { return e.error }

// unsure marks an error after which a request may have been carried out: all but
// an answer, and a connection that never came about.
func unsure(err error) error {
	operation, problem := (*net.OpError)(nil), (*admin.Problem)(nil)
	if errors.As(err, &problem) || errors.As(err, &operation) && operation.Op == "dial" {
		return err
	}
	return &unknownError{err}
}

// promote makes a learner a voter; with patience it waits until the leader says
// that it may.
func (c *council) promote(ctx context.Context, who string, patient bool) (*admin.Membership, error) {
	for {
		var reason string
		membership, err := c.apply(ctx, func(status *admin.Status) (admin.Change, error) {
			member, err := find(status, who)
			if err == nil && member.Role == "Learner" && !member.Promotable {
				reason = member.NotPromotableReason
				err = &memberError{text: fmt.Sprintf("%s can't vote yet: %s", member.Name, reason)}
			}
			return admin.Change{Kind: admin.Promote, Member: admin.NewMember{MemberID: member.MemberID}}, err
		})
		if err == nil || !patient || reason == "" {
			return membership, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(membersPause):
		}
	}
}

func (c *council) promoteCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "promote {NAME | ID}",
		Short:             "Make a learner that has caught up a voter",
		Example:           "  conclave members promote cfg-3",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              cobra.ExactArgs(1),
		RunE: c.changing(func(ctx context.Context, args []string) (*admin.Membership, string, error) {
			membership, err := c.promote(ctx, args[0], false)
			return membership, args[0] + " votes", err
		}),
	}
}

// removeCommand removes a member for good.
func (c *council) removeCommand() *cobra.Command {
	var yes bool
	remove := c.changing(func(ctx context.Context, args []string) (*admin.Membership, string, error) {
		who := args[0]
		membership, err := c.apply(ctx, func(status *admin.Status) (admin.Change, error) {
			member, err := find(status, who)
			if err == nil {
				who = member.MemberID // by the next try another may have the name
			}
			return admin.Change{Kind: admin.Remove, Member: admin.NewMember{MemberID: member.MemberID}}, err
		})
		return membership, "removed " + args[0], err
	})
	cmd := &cobra.Command{
		Use:               "remove {NAME | ID} --yes",
		Short:             "Remove a member; its node serves nobody any more",
		Example:           "  conclave members remove cfg-3 --yes",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return fmt.Errorf("removing %s ends its part in the cluster: repeat with --yes if that is meant", args[0])
			}
			return remove(cmd, args)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// transferCommand hands the leadership over.
func (c *council) transferCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "transfer [NAME | ID]",
		Short:             "Hand the leadership over, to a voter or to the one best prepared",
		Example:           "  conclave members transfer cfg-1",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              cobra.MaximumNArgs(1),
		RunE: c.asking(func(ctx context.Context, args []string) error {
			client, status, err := c.leader(ctx)
			if err != nil {
				return err
			}
			target := ""
			if len(args) == 1 {
				member, err := find(status, args[0])
				if err != nil {
					return err
				}
				target = member.MemberID
			}
			transfer, err := client.TransferLeadership(ctx, target)
			if err != nil {
				return unsure(err)
			}
			if c.output != outputText {
				return c.encode(transfer)
			}
			leader := transfer.Leader
			if leader == "" {
				leader = "not known yet"
			}
			_, err = fmt.Fprintf(c.out, "%s made way; the leader is %s\n", status.Name, leader)
			return err
		}),
	}
}
