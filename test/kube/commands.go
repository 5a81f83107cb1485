package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Environment variables that `exec` and `env` set. The first also names the default cluster, so that a
// test that runs inside `exec` means its own cluster when it calls the tool.
const (
	nameVariable  = "CONCLAVE_KUBE_NAME"
	logsVariable  = "CONCLAVE_KUBE_LOGS"
	assetVariable = "KUBEBUILDER_ASSETS"
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           toolName,
		Short:         "A real Kubernetes of several nodes on one Linux machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	name := "ccl"
	if set := os.Getenv(nameVariable); set != "" {
		name = set
	}
	root.PersistentFlags().StringVar(&name, "name", name, "name of the cluster; clusters of different names run side by side")
	root.AddCommand(
		buildCommand(), upCommand(&name), downCommand(&name), doctorCommand(), envCommand(&name),
		execCommand(&name), loadCommand(&name), imageCommand(&name),
		nodeCommand(&name, "cut N", "Pull a node's network cable", node.cut),
		nodeCommand(&name, "heal N", "Plug a node's network cable in again", node.heal),
		nodeCommand(&name, "stop N", "Power a node off: everything on it ends at once", node.powerOff),
		nodeCommand(&name, "start N", "Power a node on again, with its cable plugged in", node.restart),
		pairCommand(&name, "part A B", "Keep two nodes, and the pods on them, from reaching each other", node.part),
		pairCommand(&name, "join A B", "Let two nodes reach each other again", node.join),
		launchCommand(), superviseCommand(&name),
	)
	return root
}

func buildCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "build [COMPONENT...]",
		Short:     "Build the programs of a cluster, those that are missing or out of date",
		Long:      "Build the programs of a cluster, those that are missing or out of date.\nComponents: " + strings.Join(componentNames(), ", ") + " (default: all).",
		ValidArgs: componentNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted, err := selectComponents(args)
			if err != nil {
				return err
			}
			cache, err := findCache()
			if err != nil {
				return err
			}
			return cache.build(cmd.Context(), wanted)
		},
	}
}

func upCommand(name *string) *cobra.Command {
	options := settings{Nodes: 3, EvictAfter: 5 * time.Minute}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster anew and return when its DNS answers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newCluster(*name)
			if err != nil {
				return err
			}
			if err := options.complete(cmd.Context()); err != nil {
				return err
			}
			c.settings = options
			return c.up(cmd.Context())
		},
	}
	cmd.Flags().IntVar(&options.Nodes, "nodes", options.Nodes, "how many nodes")
	cmd.Flags().DurationVar(&options.EvictAfter, "evict-after", options.EvictAfter, "how long pods stay on a node that is lost")
	return cmd
}

// complete checks what was asked for and the machine, builds what is missing, and fills in the rest.
func (s *settings) complete(ctx context.Context) error {
	if s.Nodes < 1 || s.Nodes > maxNodes {
		return fmt.Errorf("--nodes %d: want 1 to %d", s.Nodes, maxNodes)
	}
	if s.EvictAfter < 0 {
		return fmt.Errorf("--evict-after %v: want no less than 0", s.EvictAfter)
	}
	if err := doctor(ctx); err != nil {
		return err
	}
	cache, err := findCache()
	if err != nil {
		return err
	}
	if err := cache.build(ctx, components()); err != nil {
		return err
	}
	s.Bin = cache.bin()
	s.Runc, err = findRunc()
	return err
}

func downCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop a cluster and remove all of it; no error if there is none",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRoot(); err != nil {
				return err
			}
			c, err := newCluster(*name)
			if err != nil {
				return err
			}
			return c.down(cmd.Context())
		},
	}
}

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine lacks for a cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := doctor(cmd.Context()); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "this machine can run a cluster")
			return err
		},
	}
}

func envCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "env [VARIABLE]",
		Short: "Print the paths of a cluster for a shell, or the value of one of them",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newCluster(*name)
			if err != nil {
				return err
			}
			if running, err := openCluster(*name); err == nil {
				c = running
			} else if cache, err := findCache(); err != nil { // no cluster is needed to ask for the programs
				return err
			} else {
				c.Bin = cache.bin()
			}
			return printEnv(cmd.OutOrStdout(), c.userEnv(), args)
		},
	}
}

func execCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "exec -- COMMAND...",
		Short: "Run a command where the cluster is reachable, with KUBECONFIG set and kubectl in its PATH",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkRoot(); err != nil {
				return err
			}
			c, err := openCluster(*name)
			if err != nil {
				return err
			}
			return c.exec(args)
		},
	}
}

func loadCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "load NAME:TAG FILE.tar",
		Short: "Import an image from an archive into all nodes",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := openCluster(*name)
			if err != nil {
				return err
			}
			return c.load(cmd.Context(), args[0], args[1])
		},
	}
}

func imageCommand(name *string) *cobra.Command {
	var user, output string
	cmd := &cobra.Command{
		Use:   "image NAME:TAG FILE[=PATH]...",
		Short: "Make an image of static programs, the first its entry point, and import it into all nodes",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			made := image{name: args[0], user: user}
			for _, argument := range args[1:] {
				file, err := parseImageFile(argument)
				if err != nil {
					return err
				}
				made.files = append(made.files, file)
			}
			if output != "" {
				output, err := filepath.Abs(output)
				if err != nil {
					return err
				}
				return made.writeFile(output)
			}
			c, err := openCluster(*name)
			if err != nil {
				return err
			}
			return c.loadMade(cmd.Context(), made)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "UID or UID:GID that containers run as (default root)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "only write the archive to this file")
	return cmd
}
