package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// importBytesMax bounds what an import reads: as many bytes of values as may be,
// with some for what stands around them.
const importBytesMax = 2 * exchangeBytesMax

// importPause is how long after a write with an unknown outcome it is sent again.
const importPause = 100 * time.Millisecond

// importer carries an import out.
type importer struct {
	*session
	client         *client.Client
	namespace      string
	prefix         string
	dryRun, atomic bool
	shown          *progress
	summary        importSummary
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
the prefix before its name. Everything is read and checked before anything is written.
What is the same already is not written again, and no other key is touched. Each key
is written for itself, on the condition that nobody changes it meanwhile, and the
import ends where one can't be: run it again to go on. With --atomic all are one
transaction, on the condition that none of them is changed meanwhile. A key whose
source tells no media type keeps the one that it has. --timeout counts for each key,
or for the transaction.`,
		Example: `  conclave import pay pay.jsonl --dry-run
  conclave import pay ./db --format directory --prefix db/ --atomic
  kubectl get configmap db -o yaml | conclave import pay - --format configmap --prefix db/`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveDefault // a file
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			load, err := s.load(format, args[1], i.prefix)
			if err != nil {
				return err
			}
			if i.atomic {
				if err := load.checkTogether(); err != nil {
					return err
				}
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
	cmd.Flags().BoolVar(&i.atomic, "atomic", false, "all keys as one revision, or none; for up to 128 of them and 4 MiB")
	formFlag(cmd, &format)
	complete(cmd, "prefix", s.completePrefix)
	return cmd
}

// load reads all that is to be imported.
func (s *session) load(format, place, prefix string) (*cargo, error) {
	form, err := readForm(format)
	if err != nil {
		return nil, err
	}
	load := &cargo{prefix: prefix}
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

// run writes the keys, and says what came of them.
func (i *importer) run(ctx context.Context, load *cargo) error {
	i.shown = i.progress(len(load.items))
	write := i.oneByOne
	if i.atomic {
		write = i.together
	}
	return errors.Join(write(ctx, load.items), i.show(i.summary, func() error {
		would := ""
		if i.dryRun {
			would = "would be "
		}
		_, err := fmt.Fprintf(i.out, "%d %screated, %d %schanged, %d the same\n",
			i.summary.Created, would, i.summary.Changed, would, i.summary.Same)
		return err
	}))
}

// oneByOne writes each key for itself.
func (i *importer) oneByOne(ctx context.Context, items []item) error {
	for n, one := range items {
		if err := i.write(ctx, one); err != nil {
			fmt.Fprintf(i.err, "%s: stopped at key %d of %d; run it again to go on\n", i.spokenName(), n+1, len(items))
			return fmt.Errorf("%s: %w", one.from, err)
		}
		i.shown.reached(n + 1)
	}
	return nil
}

// write makes one key what it should be.
func (i *importer) write(ctx context.Context, one item) error {
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	change, err := i.compare(ctx, one)
	if err != nil || change.same {
		return err
	}
	revision, err := i.put(ctx, change)
	if err != nil {
		return err
	}
	return i.wrote(change, revision)
}

// change is what an item is to make of a key.
type change struct {
	key     string
	value   []byte
	options client.PutOptions
	// same: the key is that already.
	same bool
}

// compare reads what is there, and returns what is to be done, on the condition that
// it stays there until then.
func (i *importer) compare(ctx context.Context, one item) (change, error) {
	c := change{key: i.prefix + one.key, value: one.value, options: client.PutOptions{Type: one.mediaType, DryRun: i.dryRun}}
	now, err := i.client.Get(ctx, i.namespace, c.key, client.ReadOptions{})
	switch {
	case errors.Is(err, client.ErrNotFound):
		c.options.IfAbsent = true
		c.options.Type = cmp.Or(one.mediaType, guessType(c.key, one.value))
	case err != nil:
		return change{}, err
	default:
		c.options.IfRevision = now.Revision
		c.options.Type = cmp.Or(one.mediaType, now.Type)
		c.same = c.made(now)
	}
	if c.same {
		i.summary.Same++
	}
	return c, nil
}

// made reports whether an entry is what the change makes of it.
func (c change) made(entry *client.Entry) bool {
	return bytes.Equal(entry.Value, c.value) && entry.Type == c.options.Type
}

// put carries a change out. A write whose outcome is unknown is sent again, since by
// its condition it takes effect once at most; that it is refused then can be because
// it had taken effect, which is looked up.
func (i *importer) put(ctx context.Context, c change) (revision uint64, err error) {
	unknown := false
	for {
		revision, err = i.client.Put(ctx, i.namespace, c.key, c.value, c.options)
		if !errors.Is(err, client.ErrOutcomeUnknown) {
			break
		}
		unknown = true
		select {
		case <-time.After(importPause):
		case <-ctx.Done():
			return 0, err
		}
	}
	if unknown && errors.Is(err, client.ErrChanged) {
		now, reading := i.client.Get(ctx, i.namespace, c.key, client.ReadOptions{})
		if reading == nil && c.made(now) {
			return now.Revision, nil
		}
	}
	return revision, err
}

// wrote counts and tells what was done to a key.
func (i *importer) wrote(c change, revision uint64) error {
	word, count := "change", &i.summary.Changed
	if c.options.IfAbsent {
		word, count = "create", &i.summary.Created
	}
	*count++
	if !i.dryRun {
		i.summary.Revision = revision
	}
	if i.output != outputText {
		return nil
	}
	_, err := fmt.Fprintf(i.out, "%s %s\n", word, c.key)
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
