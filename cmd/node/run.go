package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/internal/node"
)

// settings are the flags of one node.
type settings struct {
	options      node.Options
	initialState string
	initialPeers string
	config       string
	log          logSettings
}

func newRunCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:   "node",
		Short: "Run one member of a Conclave cluster",
		Long: `Run one member of a Conclave cluster until it is told to stop by SIGTERM or SIGINT.

The nodes of a new cluster find each other either by name, --initial-peers, or by
the SRV records of a headless service, --discovery-service and --initial-members.
A node that comes later is started with --initial-state existing, --cluster-id and
--address; it waits until it is added: "conclave members add" does that.
Every flag may also stand in a YAML file, --config, by its name without the leading
dashes; the command line wins.`,
		Example: `  node --name a --data-dir /var/lib/a --initial-peers a=127.0.0.1:8401,b=127.0.0.1:8411,c=127.0.0.1:8421 \
       --http 127.0.0.1:8400 --peer 127.0.0.1:8401 --ops 127.0.0.1:8402
  node --name d --data-dir /var/lib/d --initial-state existing --cluster-id 5f1c... --address d.example.org:8401
  node --config /etc/conclave/node.yaml
  node dev`,
		Args:          noArguments,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return s.run(c) },
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())
	})
	s.flags(c)
	return c
}

// noArguments refuses words that are no flags.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q; %s --help tells the usage", args[0], c.CommandPath())
	}
	return nil
}

// flags declares the flags. Defaults that node.Options has are told, not set.
func (s *settings) flags(c *cobra.Command) {
	f, o := c.Flags(), &s.options
	f.StringVar(&s.config, "config", "", "YAML file with any of these settings")
	f.StringVar(&o.Name, "name", "", "name of this node in the cluster (default: the host's name)")
	f.StringVar(&o.DataDir, "data-dir", "", "data directory, made when it does not exist (required)")
	f.StringVar(&o.ClusterID, "cluster-id", "", "cluster's identity, 32 hexadecimal digits (default: derived from its name and nodes)")
	f.StringVar(&o.ClusterName, "cluster-name", "", "tells apart clusters whose nodes have the same names (default \"conclave\")")
	f.StringVar(&s.initialState, "initial-state", "new", "without data: \"new\" forms a cluster, \"existing\" waits to be added to one")
	f.StringVar(&s.initialPeers, "initial-peers", "", "all nodes of a new cluster, name=host:port,...")
	f.StringVar(&o.DiscoveryService, "discovery-service", "", "headless service whose SRV records name the nodes of a new cluster")
	f.IntVar(&o.InitialMembers, "initial-members", 0, "number of nodes that form a new cluster, with --discovery-service")
	f.StringVar(&o.Address, "address", "", "host:port at which the other nodes reach this one (default: from --initial-peers or --discovery-service)")
	f.StringVar(&o.HTTP, "http", "", "address for clients, \"off\" to have them on https alone (default \":8400\")")
	f.StringVar(&o.HTTPS, "https", "", "address for clients over TLS, with --client-tls (default \":8443\")")
	f.StringVar(&o.Peer, "peer", "", "address for the other nodes (default \":8401\")")
	f.StringVar(&o.Ops, "ops", "", "address for health, metrics and administration (default \":8402\")")
	f.StringVar(&o.PeerTLS, "peer-tls", "", "directory with tls.crt, tls.key and ca.crt: TLS with the other nodes")
	f.StringVar(&o.ClientTLS, "client-tls", "", "directory with tls.crt and tls.key: TLS for clients, at --https")
	f.StringVar(&o.OpsTLS, "ops-tls", "", "directory with tls.crt, tls.key and, for certificates as credentials, ca.crt: TLS on the operations port")
	f.StringSliceVar(&o.Hosts, "hosts", nil, "names by which clients may call this node, beside IP addresses and localhost; \"name.*\" matches all that begin so")
	f.StringVar(&o.AdminTokenFile, "admin-token-file", "", "file with bearer tokens of people for /admin")
	f.StringVar(&o.OperatorTokenFile, "operator-token-file", "", "file with bearer tokens of the operator for /admin")
	f.DurationVar(&o.ElectionTimeoutMin, "election-timeout-min", 0, "shortest election timeout (default 150ms)")
	f.DurationVar(&o.ElectionTimeoutMax, "election-timeout-max", 0, "longest election timeout (default 300ms)")
	f.DurationVar(&o.HeartbeatInterval, "heartbeat-interval", 0, "interval of a leader's heartbeats (default 50ms)")
	f.IntVar(&o.SnapshotEntries, "snapshot-entries", 0, "log entries that make a snapshot worth taking (default 10000)")
	f.DurationVar(&o.DrainPeriod, "drain-period", 0, "how long to serve on, not ready, after being told to stop")
	s.log.flags(c)
}

func (s *settings) run(c *cobra.Command) error {
	if s.config != "" {
		if err := readConfig(s.config, c.Flags()); err != nil {
			return err
		}
	}
	o := &s.options
	o.InitialState = node.InitialState(s.initialState)
	o.Version = version
	if s.initialPeers != "" {
		peers, err := node.ParsePeers(s.initialPeers)
		if err != nil {
			return fmt.Errorf("initial-peers: %w", err)
		}
		o.InitialPeers = peers
	}
	if o.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("name: is missing, and the host's name can't be told: %w", err)
		}
		o.Name, _, _ = strings.Cut(host, ".")
	}
	logger, err := s.log.logger(c.ErrOrStderr())
	if err != nil {
		return err
	}
	o.Logger = logger.With("node", o.Name)
	return node.Run(c.Context(), *o, func(a node.Addresses) {
		o.Logger.Info("node started", "version", version, "http", a.HTTP, "https", a.HTTPS, "peer", a.Peer, "ops", a.Ops)
	})
}

// errLogFormat names the formats that there are.
var errLogFormat = errors.New(`log-format: want "text" or "json"`)

// logSettings are the flags about the log that people read.
type logSettings struct{ format, level string }

func (l *logSettings) flags(c *cobra.Command) {
	c.Flags().StringVar(&l.format, "log-format", "text", "form of the lines on standard error: text or json")
	c.Flags().StringVar(&l.level, "log-level", "info", "least level that is logged: debug, info, warn or error")
}
