package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/internal/admin"
)

const (
	// defaultOps is the operations port of a node on this machine.
	defaultOps = "http://127.0.0.1:8402"
	// membersTimeout is how long a command about members may take unless
	// --timeout says otherwise: a change of voters and reading a disk take their
	// time.
	membersTimeout = time.Minute
	// statusPatience is how long a node may take to tell its status, for which it
	// needs two seconds when its loop hangs.
	statusPatience = 5 * time.Second
	// membersPause is the time between two looks at what is waited for.
	membersPause = 200 * time.Millisecond
	// tokenFileBytesMax bounds a token file.
	tokenFileBytesMax = 64 << 10
)

// council is what the commands about members share: how to reach the operations
// ports, and how to show the outcome.
type council struct {
	*session
	ops       []string
	token     string
	tokenFile string
	// http sends the requests.
	http *http.Client
}

// membersCommand builds the commands about members.
func (s *session) membersCommand() *cobra.Command {
	c := &council{session: s}
	cmd := group(&cobra.Command{
		Use:   "members",
		Short: "Show and change the members of a cluster",
		Long: `Show and change the members of a cluster, through the operations ports of its nodes.

Name as many nodes as there are with --ops: only the leader makes changes, and it is
found among them. The token comes from --token-file, or from CONCLAVE_ADMIN_TOKEN;
over https, a certificate for this cluster does as well, --cert and --cert-key.
On a cluster that an operator runs, it alone changes the membership.`,
		Example: "  conclave members list --ops http://cfg-0:8402,http://cfg-1:8402 --token-file token",
	}, c.listCommand(), c.addCommand(), c.promoteCommand(), c.removeCommand(),
		c.transferCommand(), c.snapshotCommand(), c.verifyCommand())
	flags := cmd.PersistentFlags()
	flags.StringSliceVar(&c.ops, "ops", nil, "operations ports of nodes, URL,URL,...; also from CONCLAVE_OPS (default "+defaultOps+")")
	flags.StringVar(&c.tokenFile, "token-file", "", "file whose first line is the bearer token; also from CONCLAVE_ADMIN_TOKEN_FILE")
	flags.StringVar(&c.token, "token", "", "the bearer token itself; better in CONCLAVE_ADMIN_TOKEN, where others don't see it")
	return cmd
}

// prepare checks the flags, and returns the context that limits the command.
func (c *council) prepare(cmd *cobra.Command) (context.Context, context.CancelFunc, error) {
	if !cmd.Flags().Changed("timeout") {
		c.timeout = membersTimeout
	}
	if c.timeout <= 0 {
		return nil, nil, fmt.Errorf("--timeout %v: want a time to wait, such as 10s", c.timeout)
	}
	if len(c.ops) == 0 {
		c.ops = strings.FieldsFunc(c.env("CONCLAVE_OPS"), func(r rune) bool { return r == ',' })
	}
	if len(c.ops) == 0 {
		c.ops = []string{defaultOps}
	}
	for _, url := range c.ops {
		if err := (&admin.Client{BaseURL: url}).Check(); err != nil {
			return nil, nil, fmt.Errorf("--ops %s: %w", url, err)
		}
	}
	if err := c.findToken(); err != nil {
		return nil, nil, err
	}
	transport, err := c.transport()
	if err != nil {
		return nil, nil, err
	}
	c.http = &http.Client{Transport: transport}
	c.connected, c.aboutMembers = true, true
	ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
	return ctx, cancel, nil
}

// findToken takes the token from the first place that has one.
func (c *council) findToken() error {
	if c.token == "" && c.tokenFile == "" {
		c.token, c.tokenFile = c.env("CONCLAVE_ADMIN_TOKEN"), c.env("CONCLAVE_ADMIN_TOKEN_FILE")
	}
	switch {
	case c.token != "", c.tokenFile == "" && c.tls.Certificate != "":
		return nil
	case c.tokenFile == "":
		return errors.New("the operations ports want a token: give --token-file, or set CONCLAVE_ADMIN_TOKEN; or --cert and --cert-key, where they speak TLS")
	}
	info, err := os.Stat(c.tokenFile)
	if err == nil && info.Size() > tokenFileBytesMax {
		err = fmt.Errorf("%s is longer than %d bytes", c.tokenFile, tokenFileBytesMax)
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(c.tokenFile)
	}
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		if c.token = strings.TrimSpace(line); c.token != "" {
			return nil
		}
	}
	return fmt.Errorf("--token-file: %s holds no token", c.tokenFile)
}

func (c *council) client(url string) *admin.Client {
	return &admin.Client{BaseURL: url, Token: c.token, HTTPClient: c.http}
}

// asking is a command that asks nodes: what it does once its flags are understood,
// and within its time.
func (c *council) asking(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel, err := c.prepare(cmd)
		if err != nil {
			return err
		}
		defer cancel()
		return do(ctx, args)
	}
}

// report is what a node says of itself, or why it says nothing.
type report struct {
	client *admin.Client
	status *admin.Status
	err    error
}

// reports asks all nodes for their status, side by side: one that is silent may
// be the reason why a person asks. When the leader has answered, no other is
// waited for.
func (c *council) reports(ctx context.Context) (all []report, leader *report) {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	all = make([]report, len(c.ops))
	var asking sync.WaitGroup
	for i, url := range c.ops {
		asking.Go(func() {
			client := c.client(url)
			status, err := client.Status(ctx)
			all[i] = report{client, status, err}
			if err == nil && status.Role == "Leader" {
				cancel()
			}
		})
	}
	asking.Wait()
	for i := range all {
		if all[i].err == nil && all[i].status.Role == "Leader" {
			return all, &all[i]
		}
	}
	return all, nil
}

// leader finds the leader among the nodes that were named, and its status. While
// none leads it waits, as elections pass.
func (c *council) leader(ctx context.Context) (*admin.Client, *admin.Status, error) {
	for before := error(nil); ; {
		all, leader := c.reports(ctx)
		if leader != nil {
			return leader.client, leader.status, nil
		}
		if before != nil && ctx.Err() != nil {
			return nil, nil, before // this time the nodes had no time to answer
		}
		name, err := "", error(nil)
		for _, r := range all {
			switch {
			case r.err != nil:
				if problem := (*admin.Problem)(nil); errors.As(r.err, &problem) && !problem.Retryable {
					return nil, nil, r.err
				}
				err = r.err
			case r.status.Leader != "":
				name = r.status.Leader
			}
		}
		if name != "" && len(c.ops) == 1 {
			return nil, nil, &elsewhereError{leader: name}
		}
		if err == nil {
			err = &elsewhereError{leader: name}
		}
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(membersPause):
			before = err
		}
	}
}

// elsewhereError tells that no node that was named leads.
type elsewhereError struct{ leader string }

func (e *elsewhereError) Error() string {
	if e.leader == "" {
		return "no leader is known"
	}
	return fmt.Sprintf("%s leads, and is not among the nodes named", e.leader)
}

// find returns the member that a person names: by ID, or by a name that only one
// has.
func find(status *admin.Status, who string) (admin.Member, error) {
	var found []admin.Member
	var ids []string
	for _, m := range status.Members {
		if m.MemberID == who {
			return m, nil
		}
		if m.Name == who {
			found, ids = append(found, m), append(ids, m.MemberID)
		}
	}
	switch len(found) {
	case 0:
		return admin.Member{}, &memberError{text: fmt.Sprintf("there is no member %q", who), missing: true}
	case 1:
		return found[0], nil
	default:
		return admin.Member{}, &memberError{text: fmt.Sprintf("%d members are named %q: give the ID of the one that is meant, %s", len(found), who, strings.Join(ids, " or "))}
	}
}

// memberError tells that the member that was named isn't fit for the command, or
// that there is none.
type memberError struct {
	text    string
	missing bool
}

func (e *memberError) Error() string { return e.text }

// listCommand shows the members, as the leader sees them if it can be asked.
func (c *council) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "list",
		Short:             "List the members and how far each one is",
		Example:           "  conclave members list --ops http://cfg-0:8402,http://cfg-1:8402,http://cfg-2:8402",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: c.asking(func(ctx context.Context, _ []string) error {
			status, err := c.view(ctx)
			if err != nil {
				return err
			}
			if c.output != outputText {
				return c.encode(status)
			}
			return c.showMembers(status)
		}),
	}
}

// view returns the status of the leader, or of any node that answers.
func (c *council) view(ctx context.Context) (*admin.Status, error) {
	all, leader := c.reports(ctx)
	if leader != nil {
		return leader.status, nil
	}
	var any *admin.Status
	var last error
	for _, r := range all {
		switch {
		case r.err != nil:
			last = r.err
		case any == nil || any.State != admin.StateRunning:
			any = r.status
		}
	}
	if any == nil {
		return nil, last
	}
	return any, nil
}

// showMembers prints who answered, then the members.
func (c *council) showMembers(status *admin.Status) error {
	leader := status.Leader
	if leader == "" {
		leader = "none known"
	}
	state := string(status.State)
	if !status.Ready {
		state += ", not ready: " + status.NotReadyReason
	}
	table := newTable(c.out) // an error stays until Flush
	fmt.Fprintf(table, "Cluster:\t%s\nLeader:\t%s, term %d\n", status.ClusterID, leader, status.Term)
	fmt.Fprintf(table, "Answered by:\t%s (member %s at %s), %s\n\n", status.Name, status.MemberID, status.Address, state)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(table, "NAME\tID\tROLE\tADDRESS\tPROGRESS\tLAG\tHEARD FROM")
	for _, m := range status.Members {
		role, progress, lag, heard := m.Role, "-", "-", "-" // only the leader knows
		switch {
		case m.MemberID == status.LeaderID:
			role += ", leader"
		case m.Progress != "":
			progress = m.Progress
			if m.NotPromotableReason != "" {
				progress += ", can't vote yet: " + m.NotPromotableReason
			}
			if m.LagEntries != nil {
				lag = fmt.Sprint(*m.LagEntries)
			}
			if m.SinceContactMillis != nil {
				heard = fmt.Sprintf("%d ms ago", *m.SinceContactMillis)
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.MemberID, role, m.Address, progress, lag, heard)
	}
	return table.Flush()
}
