package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// nodeCommand is a command that does something to one node.
func nodeCommand(name *string, use, short string, do func(node, context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			nodes, err := findNodes(*name, args)
			if err != nil {
				return err
			}
			return do(nodes[0], cmd.Context())
		},
	}
}

// pairCommand is a command that does something to what is between two nodes.
func pairCommand(name *string, use, short string, do func(a node, ctx context.Context, b node) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			nodes, err := findNodes(*name, args)
			if err != nil {
				return err
			}
			if nodes[0].number == nodes[1].number {
				return fmt.Errorf("%s is one node; want two", nodes[0].hostname())
			}
			return do(nodes[0], cmd.Context(), nodes[1])
		},
	}
}

// findNodes returns the nodes of those numbers in the running cluster.
func findNodes(name string, numbers []string) ([]node, error) {
	if err := checkRoot(); err != nil {
		return nil, err
	}
	c, err := openCluster(name)
	if err != nil {
		return nil, err
	}
	var nodes []node
	for _, number := range numbers {
		n, err := c.node(number)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// launchCommand is hidden: the tool calls itself with it; see launch.
func launchCommand() *cobra.Command {
	var l launch
	cmd := &cobra.Command{
		Use:    "_launch -- COMMAND...",
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			l.argv = args
			return l.become()
		},
	}
	cmd.Flags().StringVar(&l.group, "group", "", "control group")
	cmd.Flags().StringVar(&l.netns, "netns", "", "network namespace")
	cmd.Flags().StringArrayVar(&l.binds, "bind", nil, "FROM:TO")
	return cmd
}

// superviseCommand is hidden: it is the init of a node; see supervise.
func superviseCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:    "_node N",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			nodes, err := findNodes(*name, args)
			if err != nil {
				return err
			}
			return nodes[0].supervise(cmd.Context())
		},
	}
}

// printEnv prints one variable's value, or all as a shell reads them.
func printEnv(out io.Writer, env map[string]string, only []string) error {
	if len(only) == 1 {
		value, ok := env[only[0]]
		if !ok {
			return fmt.Errorf("no variable %s; there are %s", only[0], strings.Join(slices.Sorted(maps.Keys(env)), ", "))
		}
		_, err := fmt.Fprintln(out, value)
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		quoted := strings.ReplaceAll(env[name], "'", `'\''`)
		if _, err := fmt.Fprintf(out, "export %s='%s'\n", name, quoted); err != nil {
			return err
		}
	}
	return nil
}
