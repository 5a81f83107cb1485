package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// settingsCommand builds the commands about what the store keeps to.
func (s *session) settingsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "settings",
		Short: "Show and change what the store, or one namespace, keeps to",
		Long: `Show and change what the whole store keeps to, on all nodes alike, or with NAMESPACE
what that one keeps to besides.`,
		Example: `  conclave settings get
  conclave settings set pay --quota 16MiB`,
	}, s.settingsGetCommand(), s.settingsSetCommand(), s.settingsResetCommand())
}

func (s *session) settingsGetCommand() *cobra.Command {
	var options client.ReadOptions
	cmd := &cobra.Command{
		Use:   "get [NAMESPACE]",
		Short: "Show the settings of the store or of a namespace",
		Long: `Show the settings of the store, or those of a namespace, by the names that "settings
set" has for them, and the revision that last set them: 0 while nobody has. What a
setting means stands in conclave settings set --help.`,
		Example: `  conclave settings get
  conclave settings get pay --output json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			if len(args) == 1 {
				settings, err := c.NamespaceSettings(ctx, args[0], options)
				if err != nil {
					return err
				}
				return s.show(settings, func() error {
					return s.showSettings("quota", size(settings.QuotaBytes), "revision", settings.Revision)
				})
			}
			settings, err := c.Settings(ctx, options)
			if err != nil {
				return err
			}
			return s.show(shownSettings{settings, settings.Revision}, func() error {
				return s.showSettings("quota", size(settings.QuotaBytes), "history-age", millis(settings.HistoryAgeMillis),
					"history-revisions", settings.HistoryRevisions, "history-size", size(settings.HistoryBytes),
					"idempotency-window", millis(settings.IdempotencyWindowMillis), "feature-level", settings.FeatureLevel,
					"revision", settings.Revision)
			})
		},
	}
	readFlags(cmd, &options)
	return cmd
}

// shownSettings are settings with their revision, 0 too.
type shownSettings struct {
	*client.Settings
	Revision uint64 `json:"revision"`
}

// showSettings prints names and values.
func (s *session) showSettings(pairs ...any) error {
	table := newTable(s.out)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(table, "%v\t%v\n", pairs[i], pairs[i+1]) // an error stays until Flush
	}
	return table.Flush()
}

// millis is a time as people read it and flags take it.
func millis(n uint64) string {
	text := (time.Duration(n) * time.Millisecond).String() //nolint:gosec // at most ten years
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// newSettings are the flags of settings set.
type newSettings struct {
	quota, historySize             size
	historyAge, idempotencyWindow  time.Duration
	historyRevisions, featureLevel uint64
}

// storeOnly are the flags that a namespace has no setting for.
var storeOnly = []string{"history-age", "history-revisions", "history-size", "idempotency-window", "feature-level"}

func (s *session) settingsSetCommand() *cobra.Command {
	var to newSettings
	cmd := &cobra.Command{
		Use:   "set [NAMESPACE]",
		Short: "Change settings of the store or of a namespace",
		Long: `Change those settings of the store that flags name, or the quota of a namespace, and
print the revision that this made; the others stay. It is refused when somebody else
changes them meanwhile. A size is in bytes, or in KiB, MiB or GiB.

History is kept as far back as --history-age or --history-revisions says, whichever
reaches further, within --history-size. What it is no longer to keep is forgotten for
good. The feature level can only be raised, and only once all nodes run a version that
has it: one that doesn't stands still.`,
		Example: `  conclave settings set --history-age 720h --history-size 1GiB
  conclave settings set pay --quota 16MiB`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkSettings(cmd, len(args) == 1); err != nil {
				return err
			}
			return s.writing(cmd, func(w writing) (uint64, error) {
				if len(args) == 1 {
					return setNamespace(w.ctx, w.Client, args[0], to)
				}
				return setStore(w.ctx, w.Client, to, cmd.Flags().Changed)
			})
		},
	}
	flags := cmd.Flags()
	flags.Var(&to.quota, "quota", "what live keys and values may take in all")
	flags.DurationVar(&to.historyAge, "history-age", 0, "how far back history is kept, such as 168h")
	flags.Uint64Var(&to.historyRevisions, "history-revisions", 0, "for how many revisions history is kept, if they reach further back")
	flags.Var(&to.historySize, "history-size", "what history may take")
	flags.DurationVar(&to.idempotencyWindow, "idempotency-window", 0, "how long answers to writes with an idempotency key are kept")
	flags.Uint64Var(&to.featureLevel, "feature-level", 0, "what all nodes understand")
	return cmd
}

// checkSettings refuses a change of nothing, of what the namespace doesn't have, or
// to nothing.
func checkSettings(cmd *cobra.Command, namespace bool) error {
	changed := cmd.Flags().Changed
	if namespace {
		for _, name := range storeOnly {
			if changed(name) {
				return fmt.Errorf("--%s: a namespace has a quota alone; without NAMESPACE it is set for the store", name)
			}
		}
		if !changed("quota") {
			return errors.New("--quota: want what the namespace may take, such as 16MiB")
		}
		return nil
	}
	named := changed("quota")
	for _, name := range storeOnly {
		if !changed(name) {
			continue
		}
		named = true
		// Nodes would take nothing for the default.
		switch value := cmd.Flag(name).Value.String(); {
		case value == "0":
			return fmt.Errorf("--%s 0: want more; the defaults come back by settings reset", name)
		case cmd.Flag(name).Value.Type() == "duration":
			if d, _ := cmd.Flags().GetDuration(name); d < time.Millisecond {
				return fmt.Errorf("--%s %s: want a millisecond or more; the defaults come back by settings reset", name, value)
			}
		}
	}
	if !named {
		return errors.New("nothing to change: name a setting, such as --quota 512MiB")
	}
	return nil
}

// setStore changes the settings that were named, on the condition that those that
// were read are still there.
func setStore(ctx context.Context, c *client.Client, to newSettings, changed func(string) bool) (uint64, error) {
	settings, err := c.Settings(ctx, client.ReadOptions{})
	if err != nil {
		return 0, err
	}
	for name, set := range map[string]func(){
		"quota":              func() { settings.QuotaBytes = int64(to.quota) },
		"history-age":        func() { settings.HistoryAgeMillis = uint64(to.historyAge.Milliseconds()) },
		"history-revisions":  func() { settings.HistoryRevisions = to.historyRevisions },
		"history-size":       func() { settings.HistoryBytes = int64(to.historySize) },
		"idempotency-window": func() { settings.IdempotencyWindowMillis = uint64(to.idempotencyWindow.Milliseconds()) },
		"feature-level":      func() { settings.FeatureLevel = to.featureLevel },
	} {
		if changed(name) {
			set()
		}
	}
	return c.PutSettings(ctx, *settings, client.SettingsOptions{IfRevision: settings.Revision, IfUnset: settings.Revision == 0})
}

// setNamespace gives a namespace its quota, on the same condition.
func setNamespace(ctx context.Context, c *client.Client, namespace string, to newSettings) (uint64, error) {
	options := client.SettingsOptions{}
	now, err := c.NamespaceSettings(ctx, namespace, client.ReadOptions{})
	switch {
	case errors.Is(err, client.ErrNotFound):
		options.IfUnset = true
	case err != nil:
		return 0, err
	default:
		options.IfRevision = now.Revision
	}
	return c.PutNamespaceSettings(ctx, namespace, client.NamespaceSettings{QuotaBytes: int64(to.quota)}, options)
}

func (s *session) settingsResetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reset [NAMESPACE]",
		Short: "Give the store its default settings, or take those of a namespace away",
		Long: `Give the store its default settings, where the feature level stays, or take those of a
namespace away, and print the revision that this made. History beyond what is kept by
default is forgotten for good.`,
		Example:           "  conclave settings reset pay",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.writing(cmd, func(w writing) (uint64, error) {
				if len(args) == 1 {
					return w.DeleteNamespaceSettings(w.ctx, args[0], client.SettingsOptions{})
				}
				return w.ResetSettings(w.ctx, client.SettingsOptions{})
			})
		},
	}
}
