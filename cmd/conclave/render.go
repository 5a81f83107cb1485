package main

import (
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// shownDocument is a document as programs read it.
type shownDocument struct {
	Type   string  `json:"type"`
	ETag   string  `json:"etag"`
	Text   *string `json:"text,omitempty"`
	Base64 []byte  `json:"base64,omitempty"`
}

// renderCommand prints a prefix as one document.
func (s *session) renderCommand() *cobra.Command {
	var options client.RenderOptions
	cmd := &cobra.Command{
		Use:   "render NAMESPACE",
		Short: "Print the keys under a prefix as one document",
		Long: `Print the keys under a prefix, which isn't part of their names, as one document: as
json or yaml, nested at their slashes, or as env, lines that a shell evaluates. With
--output json or yaml the document is the value of an object beside its type and
entity tag.`,
		Example: `  conclave render pay --prefix api/ --format yaml > api.yaml
  eval "$(conclave render pay --prefix api/ --format env)"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			document, err := c.Render(ctx, args[0], options)
			if err != nil {
				return err
			}
			shown := shownDocument{Type: document.Type, ETag: document.ETag}
			if utf8.Valid(document.Bytes) {
				text := string(document.Bytes)
				shown.Text = &text
			} else {
				shown.Base64 = document.Bytes
			}
			return s.show(shown, func() error {
				_, err := s.out.Write(document.Bytes)
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar((*string)(&options.Format), "format", string(client.FormatJSON), "json, yaml or env")
	complete(cmd, "prefix", s.completePrefix)
	complete(cmd, "format", cobra.FixedCompletions([]string{"json", "yaml", "env"}, cobra.ShellCompDirectiveNoFileComp))
	revisionFlag(cmd, &options.ReadOptions)
	readFlags(cmd, &options.ReadOptions)
	return cmd
}
