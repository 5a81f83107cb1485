package main

import (
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

const (
	// exchangeItemsMax bounds how many keys one import or export to a folder
	// carries, and exchangeBytesMax all their values: as much as a store holds.
	exchangeItemsMax = 100_000
	exchangeBytesMax = 256 << 20
)

// item is a key with its value outside of a store.
type item struct {
	key   string
	value []byte
	// mediaType is empty where the place that it comes from tells none.
	mediaType string
	// revision is the one that last wrote it, in an export.
	revision uint64
	// from says where it was found, for errors.
	from string
}

// cargo are the items that an import has read.
type cargo struct {
	// prefix is what goes before each key.
	prefix string
	items  []item
	bytes  int
	// from tells where each key was found.
	from map[string]string
}

// add takes an item, unless nodes would refuse it, there are too many, or its key was
// there before.
func (c *cargo) add(i item) error {
	if err := checkKey(c.prefix + i.key); err != nil {
		return fmt.Errorf("%s: %w", i.from, err)
	}
	if err := checkType(i.mediaType); err != nil {
		return fmt.Errorf("%s: key %q: %w", i.from, i.key, err)
	}
	if c.from == nil {
		c.from = map[string]string{}
	}
	if other, twice := c.from[i.key]; twice {
		return fmt.Errorf("%s: key %q was in %s too", i.from, i.key, other)
	}
	if len(i.value) > valueBytesMax {
		return fmt.Errorf("%s: the value of %q is longer than one may be, %d bytes", i.from, i.key, valueBytesMax)
	}
	if len(c.items) == exchangeItemsMax {
		return fmt.Errorf("%s: more than %d keys", i.from, exchangeItemsMax)
	}
	if c.bytes += len(i.key) + len(i.value); c.bytes > exchangeBytesMax {
		return fmt.Errorf("%s: more than %d bytes in all", i.from, exchangeBytesMax)
	}
	c.items = append(c.items, i)
	c.from[i.key] = i.from
	return nil
}

// exchangeForm is how keys are kept outside of a store.
type exchangeForm string

const (
	formLines     exchangeForm = "lines"
	formDirectory exchangeForm = "directory"
	formConfigMap exchangeForm = "configmap"
)

// formFlag adds the flag that chooses the form.
func formFlag(cmd *cobra.Command, form *string) {
	cmd.Flags().StringVar(form, "format", string(formLines), "lines (of JSON), directory (of files) or configmap (Kubernetes manifests)")
	complete(cmd, "format", cobra.FixedCompletions(
		[]string{string(formLines), string(formDirectory), string(formConfigMap)}, cobra.ShellCompDirectiveNoFileComp))
}

// readForm checks the flag.
func readForm(text string) (exchangeForm, error) {
	switch form := exchangeForm(text); form {
	case formLines, formDirectory, formConfigMap:
		return form, nil
	}
	return "", fmt.Errorf("--format %s: want lines, directory or configmap", text)
}

// guessType is the media type of a new key whose source tells none: what the end of
// its name tells, else text if it is.
func guessType(key string, value []byte) string {
	if known, ok := typesByExtension[path.Ext(key)]; ok {
		return known
	}
	if utf8.Valid(value) {
		return typesByExtension[".txt"]
	}
	return "application/octet-stream"
}

// outsideName returns what a key is called outside of the store: it without the
// folders that the prefix names.
func outsideName(key, prefix string) string {
	return key[strings.LastIndexByte(prefix, '/')+1:]
}

// progressPause is the time between two words about progress.
const progressPause = 2 * time.Second

// progress tells a person how far a long work has got.
type progress struct {
	session *session
	// of is how many there are, 0 where that isn't known.
	of   int
	last time.Time
}

func (s *session) progress(of int) *progress { return &progress{s, of, s.now()} }

// reached tells how many are done, when it is time to.
func (p *progress) reached(done int) {
	now := p.session.now()
	if now.Sub(p.last) < progressPause {
		return
	}
	p.last = now
	if p.of == 0 {
		fmt.Fprintf(p.session.err, "%s: %d keys\n", p.session.spokenName(), done)
		return
	}
	fmt.Fprintf(p.session.err, "%s: %d of %d keys\n", p.session.spokenName(), done, p.of)
}

// limited reads at most so many bytes, and fails beyond them.
type limited struct {
	from io.Reader
	left int64
}

func (l *limited) Read(into []byte) (int, error) {
	n, err := l.from.Read(into)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("it is longer than an import may be, %d bytes", importBytesMax)
	}
	return n, err
}
