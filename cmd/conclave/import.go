package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// importBytesMax bounds what an import reads: as many bytes of values as may be,
// with some for what stands around them.
const importBytesMax = 2 * exchangeBytesMax

// importer carries an import out.
type importer struct {
	*session
	client            *client.Client
	namespace, prefix string
	dryRun            bool
	summary           importSummary
}

// importSummary is what came of an import.
type importSummary struct {
	Created int `json:"created"`
	Changed int `json:"changed"`
	Same    int `json:"same"`
	// Revision is the last that it made, 0 for none.
	Revision uint64 `json:"revision,omitempty"`
	DryRun   bool   `json:"dryRun,omitempty"`
}

// importCommand writes keys from somewhere else.
func (s *session) importCommand() *cobra.Command {
	i := &importer{session: s}
	var format string
	cmd := &cobra.Command{
		Use:   "import NAMESPACE PATH|-",
		Short: "Write keys and values from lines of JSON, files or ConfigMaps",
		Long: `Write the keys of a file, a directory or standard input (-) to a namespace, each with
the prefix before its name. Everything is read before anything is written. What is
the same already is not written again, and no other key is touched. It isn't one
transaction: each key is written for itself, on the condition that nobody changes it
meanwhile, and the import ends where one can't be. It can be run again. A key whose
source tells no media type keeps the one that it has. --timeout counts for each
request.`,
		Example: `  conclave import pay pay.jsonl --dry-run
  conclave import pay ./db --format directory --prefix db/
  kubectl get configmap db -o yaml | conclave import pay - --format configmap --prefix db/`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveDefault // a file
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			load, err := s.load(format, args[1])
			if err != nil {
				return err
			}
			if i.client, err = s.open(); err != nil {
				return err
			}
			defer i.client.Close()
			i.namespace, i.summary.DryRun = args[0], i.dryRun
			return i.run(cmd.Context(), load)
		},
	}
	cmd.Flags().StringVar(&i.prefix, "prefix", "", "what to put before each key")
	cmd.Flags().BoolVar(&i.dryRun, "dry-run", false, "write nothing, and tell what would be written now")
	formFlag(cmd, &format)
	complete(cmd, "prefix", s.completePrefix)
	return cmd
}

// load reads all that is to be imported.
func (s *session) load(format, place string) (*cargo, error) {
	form, err := readForm(format)
	if err != nil {
		return nil, err
	}
	load := &cargo{}
	if form == formDirectory {
		return load, loadDirectory(load, place)
	}
	from, name := s.in, "standard input"
	if place != "-" {
		file, err := os.Open(place)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil && info.IsDir() {
			return nil, fmt.Errorf("%s is a directory: import it with --format directory", place)
		}
		from, name = file, place
	}
	from = &limited{from: from, left: importBytesMax}
	if form == formConfigMap {
		return load, loadConfigMaps(load, from, name)
	}
	return load, loadLines(load, from, name)
}

// run writes one key after the other, and says what came of them.
func (i *importer) run(ctx context.Context, load *cargo) error {
	shown := i.progress(len(load.items))
	var failure error
	for n, one := range load.items {
		if failure = i.write(ctx, one); failure != nil {
			failure = fmt.Errorf("%s: %w", one.from, failure)
			fmt.Fprintf(i.err, "%s: stopped at key %d of %d; run it again to go on\n", i.spokenName(), n+1, len(load.items))
			break
		}
		shown.reached(n + 1)
	}
	return errors.Join(failure, i.show(i.summary, func() error {
		would := ""
		if i.dryRun {
			would = "would be "
		}
		_, err := fmt.Fprintf(i.out, "%d %screated, %d %schanged, %d the same\n",
			i.summary.Created, would, i.summary.Changed, would, i.summary.Same)
		return err
	}))
}

// write makes one key what it should be.
func (i *importer) write(ctx context.Context, one item) error {
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	key := i.prefix + one.key
	options := client.PutOptions{Type: one.mediaType, DryRun: i.dryRun}
	word, count := "change", &i.summary.Changed
	now, err := i.client.Get(ctx, i.namespace, key, client.ReadOptions{})
	switch {
	case errors.Is(err, client.ErrNotFound):
		options.IfAbsent = true
		options.Type = cmp.Or(options.Type, guessType(key, one.value))
		word, count = "create", &i.summary.Created
	case err != nil:
		return err
	default:
		options.IfRevision = now.Revision
		options.Type = cmp.Or(options.Type, now.Type)
		if bytes.Equal(now.Value, one.value) && now.Type == options.Type {
			i.summary.Same++
			return nil
		}
	}
	revision, err := i.client.Put(ctx, i.namespace, key, one.value, options)
	if err != nil {
		return err
	}
	*count++
	if !i.dryRun {
		i.summary.Revision = revision
	}
	if i.output == outputText {
		_, err = fmt.Fprintf(i.out, "%s %s\n", word, key)
	}
	return err
}

// readAll reads a text that is imported.
func readAll(from io.Reader, name string) ([]byte, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}
