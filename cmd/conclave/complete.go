package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

const (
	// completionTime is how long a person who presses the tabulator is kept
	// waiting for a cluster, and completionItems how many keys are offered.
	completionTime  = time.Second
	completionItems = 100
)

// completeKey completes the second argument of a command about a namespace and a
// key, by what is there, one level of slashes at a time. Any node's word will do.
// Without an answer in time, nothing is offered.
func (s *session) completeKey(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.keysUnder(cmd, args[0], begun)
}

// completePrefix completes the value of a flag --prefix in the same way.
func (s *session) completePrefix(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.keysUnder(cmd, args[0], begun)
}

func (s *session) keysUnder(cmd *cobra.Command, namespace, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	nothing := cobra.ShellCompDirectiveNoFileComp
	c, err := client.New(client.Options{Endpoints: s.endpoints, HTTPClient: &http.Client{Transport: newTransport()},
		AttemptTimeout: completionTime / time.Duration(max(1, len(s.endpoints))), Attempts: len(s.endpoints)})
	if err != nil {
		return nil, nothing
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	page, err := c.List(ctx, namespace, client.ListOptions{
		ReadOptions: client.ReadOptions{Consistency: client.Local}, Prefix: begun, Delimiter: "/", Limit: completionItems,
	})
	if err != nil {
		return nil, nothing
	}
	offered := page.Prefixes // which go on: no space is put behind them
	if len(offered) > 0 {
		nothing |= cobra.ShellCompDirectiveNoSpace
	}
	for _, entry := range page.Entries {
		offered = append(offered, entry.Key)
	}
	return offered, nothing
}
