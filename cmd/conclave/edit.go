package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// editCommand changes one value in the person's editor.
func (s *session) editCommand() *cobra.Command {
	var mediaType string
	cmd := &cobra.Command{
		Use:   "edit NAMESPACE KEY",
		Short: "Change the value of a key in an editor",
		Long: `Change the value of a key, or create it, in the editor that VISUAL or EDITOR names, or
vi. It is written when the editor ends, and only if nobody changed the key
meanwhile: otherwise the file that was edited is kept and named. A key that is not
there and was given no value isn't made. A newline that the editor puts at the end of
a value that had none is taken off again. --timeout counts for reading and for
writing, not for the editor.`,
		Example:           "  EDITOR=nano conclave edit pay app.json",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completeKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.open()
			if err != nil {
				return err
			}
			defer c.Close()
			return s.edit(cmd.Context(), c, args[0], args[1], mediaType)
		},
	}
	cmd.Flags().StringVar(&mediaType, "type", "", "media type; otherwise as it is, or told by the key")
	return cmd
}

// edit reads, has the person change, and writes.
func (s *session) edit(ctx context.Context, c *client.Client, namespace, key, mediaType string) error {
	reading, cancel := context.WithTimeout(ctx, s.timeout)
	entry, err := c.Get(reading, namespace, key, client.ReadOptions{})
	cancel()
	options := client.PutOptions{}
	switch {
	case errors.Is(err, client.ErrNotFound):
		entry = &client.Entry{Type: guessType(key, nil)}
		options.IfAbsent = true
	case err != nil:
		return err
	default:
		options.IfRevision = entry.Revision
	}
	options.Type = cmp.Or(mediaType, entry.Type)

	dir, err := os.MkdirTemp("", "conclave-edit-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, editName(key, options.Type))
	changed, err := s.letEdit(ctx, file, entry.Value)
	if err == nil && bytes.Equal(changed, entry.Value) && (options.IfAbsent || options.Type == entry.Type) {
		fmt.Fprintf(s.err, "%s: nothing was changed\n", s.spokenName())
		return os.RemoveAll(dir)
	}
	if err == nil {
		var revision uint64
		writing, cancel := context.WithTimeout(ctx, s.timeout)
		revision, err = c.Put(writing, namespace, key, changed, options)
		cancel()
		if err == nil {
			return errors.Join(os.RemoveAll(dir), s.showRevision(revision))
		}
	}
	if _, gone := os.Stat(file); gone == nil {
		fmt.Fprintf(s.err, "%s: what you edited is kept in %s\n", s.spokenName(), file)
	}
	return err
}

// editName is a name for the file to edit, by which an editor knows its kind.
func editName(key, mediaType string) string {
	name := strings.TrimLeft(path.Base(key), "-.") // neither a flag nor hidden
	if len(name) > 100 {
		name = name[len(name)-100:]
	}
	if _, known := typesByExtension[path.Ext(name)]; known {
		return name
	}
	mediaType, _, _ = strings.Cut(mediaType, ";")
	for _, extension := range []string{".json", ".yaml"} {
		if typesByExtension[extension] == mediaType {
			return name + extension
		}
	}
	return name + ".txt"
}

// letEdit writes a file, runs the editor on it and returns what it is then.
func (s *session) letEdit(ctx context.Context, file string, value []byte) ([]byte, error) {
	if err := os.WriteFile(file, value, 0o600); err != nil {
		return nil, err
	}
	editor := strings.Fields(cmp.Or(s.env("VISUAL"), s.env("EDITOR"), "vi"))
	if len(editor) == 0 {
		return nil, errors.New("VISUAL and EDITOR name no program")
	}
	// It isn't ended by ctx, since a signal to us may be none to it.
	run := exec.Command(editor[0], append(editor[1:], file)...)
	run.Stdin, run.Stdout, run.Stderr = s.in, s.err, s.err
	if out, ok := s.out.(*os.File); ok {
		run.Stdout = out // most editors draw on a terminal
	}
	if err := run.Run(); err != nil {
		return nil, fmt.Errorf("editor %s: %w", editor[0], err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	changed, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer changed.Close()
	edited, err := readValue(changed, file)
	if n := len(edited) - 1; n >= 0 && edited[n] == '\n' && len(value) > 0 && value[len(value)-1] != '\n' {
		edited = edited[:n]
	}
	return edited, err
}
