package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// defaultEndpoint is a node on this machine.
const defaultEndpoint = "http://127.0.0.1:8400"

// session is what the subcommands share: the flags that all of them have.
type session struct {
	program
	// endpoints are where the cluster is.
	endpoints []string
	// tls is for endpoints and operations ports whose scheme is https.
	tls     client.TLSFiles
	timeout time.Duration
	// output is the form of what is printed, and documents how many were.
	output    outputForm
	documents int
	// patience says how long a command tries; else that is the timeout.
	patience string
	// connected is set once the command line has been understood and a cluster
	// is about to be asked.
	connected bool
	// aboutMembers: the operations ports are asked, and not the client ports.
	aboutMembers bool
}

// run carries out one command line and returns the exit status.
func (p program) run(ctx context.Context, args []string) int {
	s := &session{
		program: p, output: outputText,
		endpoints: strings.Split(cmp.Or(p.env("CONCLAVE_ENDPOINT"), defaultEndpoint), ","),
		tls:       client.TLSFiles{CA: p.env("CONCLAVE_CA"), Certificate: p.env("CONCLAVE_CERT"), Key: p.env("CONCLAVE_CERT_KEY")},
	}
	root := s.command()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(p.err, "%s: %v\n", s.spokenName(), err)
	if !s.connected {
		fmt.Fprintf(p.err, "How to call it: %s --help\n", called.CommandPath())
		return exitUsage
	}
	if next := s.advice(called, err); next != "" {
		fmt.Fprintln(p.err, next)
	}
	return exitStatus(err)
}

// spokenName is how a person calls the program.
func (s *session) spokenName() string {
	if plugin, ok := strings.CutPrefix(s.name, "kubectl-"); ok {
		return "kubectl " + plugin
	}
	return "conclave"
}

// command builds the command tree.
func (s *session) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "conclave",
		Short:         "Read and write the configuration that a Conclave cluster keeps",
		Example:       "  conclave put pay db/url --value postgres://db\n  conclave get pay db/url",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: s.spokenName()},
	}
	flags := root.PersistentFlags()
	flags.StringSliceVar(&s.endpoints, "endpoint", s.endpoints, "client ports of nodes or their service, URL,URL,...; also from CONCLAVE_ENDPOINT")
	flags.StringVar(&s.tls.CA, "ca", s.tls.CA, "file with the authorities to trust behind https; also from CONCLAVE_CA (default: the system's)")
	flags.StringVar(&s.tls.Certificate, "cert", s.tls.Certificate, "file with a certificate to show behind https, instead of a token; also from CONCLAVE_CERT")
	flags.StringVar(&s.tls.Key, "cert-key", s.tls.Key, "file with the key of --cert; also from CONCLAVE_CERT_KEY")
	flags.DurationVar(&s.timeout, "timeout", 10*time.Second, "how long to wait for the whole command; a minute for members")
	flags.VarP(&s.output, "output", "o", "text, json or yaml")
	complete(root, "output", completeOutput)
	complete(root, "endpoint", cobra.NoFileCompletions)
	root.AddCommand(s.getCommand(), s.putCommand(), s.patchCommand(), s.editCommand(), s.deleteCommand(), s.txnCommand(), s.listCommand(),
		s.watchCommand(), s.historyCommand(), s.diffCommand(), s.rollbackCommand(), s.renderCommand(), s.exportCommand(), s.importCommand(),
		s.schemaCommand(), s.settingsCommand(), s.usageCommand(), s.statusCommand(), s.membersCommand(), s.versionCommand())
	return root
}

// group makes a command of what only holds others: alone it shows what they are, and
// another word behind it is a mistake.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.DisableFlagsInUseLine = true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fmt.Errorf("there is no command %q in %s", args[0], cmd.CommandPath())
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(children...)
	return cmd
}

// versionCommand prints what this program is, and asks nobody.
func (s *session) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version of this program",
		Long:              "Print the version of this program. Those of the nodes are in conclave status.",
		Example:           "  conclave version --output json",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			return s.show(map[string]string{"version": version}, func() error {
				_, err := fmt.Fprintln(s.out, version)
				return err
			})
		},
	}
}
