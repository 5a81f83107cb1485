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

// completeKeyAndFile completes a key and, behind it, a file.
func (s *session) completeKeyAndFile(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 2 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return s.completeKey(cmd, args, begun)
}

// completeSchema completes a prefix that has a schema.
func (s *session) completeSchema(cmd *cobra.Command, args []string, _ string) (offered []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) == 1 {
		s.briefly(cmd, func(ctx context.Context, c *client.Client) {
			schemas, _ := c.Schemas(ctx, args[0], client.ReadOptions{Consistency: client.Local}) // none without an answer
			for _, one := range schemas {
				offered = append(offered, one.Prefix)
			}
		})
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}

// completePrefix completes the value of a flag --prefix in the same way.
func (s *session) completePrefix(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.keysUnder(cmd, args[0], begun)
}

func (s *session) keysUnder(cmd *cobra.Command, namespace, begun string) (offered []cobra.Completion, _ cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	s.briefly(cmd, func(ctx context.Context, c *client.Client) {
		page, err := c.List(ctx, namespace, client.ListOptions{
			ReadOptions: client.ReadOptions{Consistency: client.Local}, Prefix: begun, Delimiter: "/", Limit: completionItems,
		})
		if err != nil {
			return
		}
		offered = page.Prefixes // which go on: no space is put behind them
		if len(offered) > 0 {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		for _, entry := range page.Entries {
			offered = append(offered, entry.Key)
		}
	})
	return offered, directive
}

// briefly has a cluster asked, within the time that a person waits for a completion.
func (s *session) briefly(cmd *cobra.Command, ask func(context.Context, *client.Client)) {
	transport, err := s.transport()
	if err != nil {
		return
	}
	c, err := client.New(client.Options{Endpoints: s.endpoints, HTTPClient: &http.Client{Transport: transport},
		AttemptTimeout: completionTime / time.Duration(max(1, len(s.endpoints))), Attempts: len(s.endpoints)})
	if err != nil {
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	ask(ctx, c)
}
