package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// usageCommand shows what is held beside what may be.
func (s *session) usageCommand() *cobra.Command {
	var options client.ReadOptions
	cmd := &cobra.Command{
		Use:   "usage [NAMESPACE]",
		Short: "Show what the store, or one namespace, holds beside what it may",
		Long: `Show what the store holds beside what it may, or with NAMESPACE what that one does.
Bytes are those of keys and values, and some for each key.`,
		Example: `  conclave usage
  conclave usage pay --output json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			if len(args) == 1 {
				usage, err := c.NamespaceUsage(ctx, args[0], options)
				if err != nil {
					return err
				}
				return s.show(usage, func() error {
					return s.showSettings("keys", usage.Keys, "bytes", share(usage.Bytes, usage.QuotaBytes), "schemas", usage.Schemas)
				})
			}
			usage, err := c.Usage(ctx, options)
			if err != nil {
				return err
			}
			return s.show(usage, func() error {
				return s.showSettings("keys", usage.Keys, "bytes", share(usage.Bytes, usage.QuotaBytes),
					"history", share(usage.HistoryBytes, usage.HistoryQuotaBytes), "oldest revision", usage.OldestRevision,
					"idempotency keys", usage.IdempotencyKeys)
			})
		},
	}
	readFlags(cmd, &options)
	return cmd
}

// share tells a number of bytes beside what they may come to, which is 0 where
// nothing says it.
func share(bytes, quota int64) string {
	if quota == 0 {
		return fmt.Sprint(bytes)
	}
	return fmt.Sprintf("%d of %v, %.1f%%", bytes, size(quota), 100*float64(bytes)/float64(quota))
}
