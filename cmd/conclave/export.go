package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// exporter takes the keys of an export, and finish ends it.
type exporter interface {
	take(item) error
	finish() error
}

// exportCommand writes the keys of a namespace to somewhere else.
func (s *session) exportCommand() *cobra.Command {
	var options client.ListOptions
	var format, directory, name string
	cmd := &cobra.Command{
		Use:   "export NAMESPACE",
		Short: "Write keys and values to lines of JSON, files or a ConfigMap",
		Long: `Write the keys of a namespace with their values, all as of one revision. Up to its
last slash, the prefix isn't part of their names there: import puts it back. What a
name and a value don't tell of media types is kept too: in the lines, in a file
.conclave-types.json, or in an annotation. A name in a ConfigMap has no slashes.`,
		Example: `  conclave export pay > pay.jsonl
  conclave export pay --prefix db/ --format directory --to ./db
  conclave export pay --prefix db/ --format configmap --name db | kubectl apply -f -`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			form, err := readForm(format)
			if err != nil {
				return err
			}
			buffer := bufio.NewWriter(s.out)
			to, err := newExporter(form, buffer, args[0], directory, name)
			if err != nil {
				return err
			}
			c, err := s.open()
			if err != nil {
				return err
			}
			defer c.Close()
			options.Values = true
			shown := s.progress(0)
			count := 0
			for entry, err := range c.Entries(cmd.Context(), args[0], options) {
				if err != nil {
					return err
				}
				key := outsideName(entry.Key, options.Prefix)
				if err := to.take(item{key: key, value: entry.Value, mediaType: entry.Type, revision: entry.Revision}); err != nil {
					return err
				}
				count++
				shown.reached(count)
			}
			return errors.Join(to.finish(), buffer.Flush())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Prefix, "prefix", "", "only keys that begin with this")
	flags.StringVar(&directory, "to", "", "with directory: where to put the files; it must be new or empty")
	flags.StringVar(&name, "name", "", "with configmap: the name of the ConfigMap")
	formFlag(cmd, &format)
	complete(cmd, "prefix", s.completePrefix)
	revisionFlag(cmd, &options.ReadOptions)
	readFlags(cmd, &options.ReadOptions)
	return cmd
}

// newExporter returns what writes the form, and refuses flags of another one.
func newExporter(form exchangeForm, out io.Writer, namespace, directory, name string) (exporter, error) {
	if (form == formDirectory) != (directory != "") {
		return nil, errors.New("--format directory and --to need each other")
	}
	if (form == formConfigMap) != (name != "") {
		return nil, errors.New("--format configmap and --name need each other")
	}
	switch form {
	case formDirectory:
		return newDirectory(directory)
	case formConfigMap:
		return &configMap{out: out, name: name}, nil
	case formLines:
		return &lines{out: out, namespace: namespace}, nil
	}
	return nil, fmt.Errorf("--format %s: not known", form)
}
