package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// schemaCommand builds the commands about what values must be like.
func (s *session) schemaCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "schema",
		Short: "Say what the values under a prefix must be like",
		Long: `Say what the values under a prefix must be like, by a JSON Schema (2020-12) that is
attached to the prefix. Every write of a key that begins with it is held to it. The
prefix '' stands for all keys of the namespace.`,
		Example: `  conclave schema put pay app/ app.schema.json
  conclave schema list pay`,
	}, s.schemaPutCommand(), s.schemaGetCommand(), s.schemaListCommand(), s.schemaDeleteCommand())
}

func (s *session) schemaPutCommand() *cobra.Command {
	var options client.SchemaOptions
	var on condition
	cmd := &cobra.Command{
		Use:   "put NAMESPACE PREFIX FILE|-",
		Short: "Attach a schema to a prefix",
		Long: `Attach a schema from a file or standard input (-) to a prefix, in place of the one that
is there, and print the revision that this made. It is refused unless all values under
the prefix satisfy it.`,
		Example: `  conclave schema put pay app/ app.schema.json
  echo '{"type":"object"}' | conclave schema put pay app/ - --if-absent`,
		Args: cobra.ExactArgs(3),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return s.completePrefix(cmd, args, begun)
			}
			return s.completeKeyAndFile(cmd, args, begun)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			document, _, err := s.fileValue(args[2])
			if err != nil {
				return err
			}
			options.IfRevision, options.IfExists = on.revision, on.exists
			return s.writing(cmd, func(w writing) (uint64, error) {
				return w.AttachSchema(w.ctx, args[0], args[1], document, options)
			})
		},
	}
	matchFlag(cmd, &on)
	cmd.Flags().BoolVar(&options.IfAbsent, "if-absent", false, "attach it only if the prefix has no schema")
	idempotencyFlag(cmd, &options.IdempotencyKey)
	cmd.MarkFlagsMutuallyExclusive("if-match", "if-absent")
	return cmd
}

func (s *session) schemaGetCommand() *cobra.Command {
	var options client.ReadOptions
	cmd := &cobra.Command{
		Use:   "get NAMESPACE PREFIX",
		Short: "Print the schema of a prefix",
		Long: `Print the schema that is attached to exactly this prefix, as it was sent, or with
--output json or yaml beside its revision.`,
		Example:           "  conclave schema get pay app/",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completeSchema,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			schema, err := c.Schema(ctx, args[0], args[1], options)
			if err != nil {
				return err
			}
			return s.show(shownSchema{schema.Prefix, schema.Revision, string(schema.Document)}, func() error {
				_, err := s.out.Write(schema.Document)
				return err
			})
		},
	}
	readFlags(cmd, &options)
	return cmd
}

// shownSchema is a schema as programs read it. Its text is as it was sent, to the
// byte.
type shownSchema struct {
	Prefix   string `json:"prefix"`
	Revision uint64 `json:"revision"`
	Text     string `json:"text"`
}

func (s *session) schemaListCommand() *cobra.Command {
	var options client.ReadOptions
	cmd := &cobra.Command{
		Use:   "list NAMESPACE",
		Short: "List the schemas of a namespace",
		Long: `List the prefixes of a namespace that have a schema. The time is what the leader's
clock showed when it was attached. With --output json each is a line; with yaml, a
document.`,
		Example:           "  conclave schema list pay",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			schemas, err := c.Schemas(ctx, args[0], options)
			if err != nil {
				return err
			}
			table := newTable(s.out)
			if s.output == outputText {
				fmt.Fprintln(table, "PREFIX\tREVISION\tTIME\tBYTES") // an error stays until Flush
			}
			for _, one := range schemas {
				err := s.show(one, func() error {
					prefix := one.Prefix
					if prefix == "" {
						prefix = "''"
					}
					_, err := fmt.Fprintf(table, "%s\t%d\t%s\t%d\n", prefix, one.Revision, clockTime(one.Time), one.Bytes)
					return err
				})
				if err != nil {
					return err
				}
			}
			return table.Flush()
		},
	}
	readFlags(cmd, &options)
	return cmd
}

func (s *session) schemaDeleteCommand() *cobra.Command {
	var options client.SchemaOptions
	var on condition
	cmd := &cobra.Command{
		Use:               "delete NAMESPACE PREFIX",
		Short:             "Take the schema off a prefix",
		Long:              "Take the schema off a prefix, and print the revision that this made. No value changes.",
		Example:           "  conclave schema delete pay app/ --if-match 42",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completeSchema,
		RunE: func(cmd *cobra.Command, args []string) error {
			options.IfRevision, options.IfExists = on.revision, on.exists
			return s.writing(cmd, func(w writing) (uint64, error) { return w.DetachSchema(w.ctx, args[0], args[1], options) })
		},
	}
	matchFlag(cmd, &on)
	idempotencyFlag(cmd, &options.IdempotencyKey)
	return cmd
}
