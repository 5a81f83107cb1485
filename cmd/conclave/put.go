package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// valueBytesMax is the largest value that the store takes.
const valueBytesMax = 2 << 20

// typesByExtension are the media types that a file's name tells.
var typesByExtension = map[string]string{
	".json": "application/json",
	".yaml": "application/yaml",
	".yml":  "application/yaml",
	".txt":  "text/plain; charset=utf-8",
}

// putCommand writes one value and prints the revision that this made.
func (s *session) putCommand() *cobra.Command {
	var options client.PutOptions
	var on condition
	var text string
	cmd := &cobra.Command{
		Use:   "put NAMESPACE KEY [FILE|-]",
		Short: "Write the value of a key, from a file, standard input (-) or --value",
		Long: `Write the value of a key, and print the revision that this made. What the value is,
its media type, is told by the file's name unless --type says it.`,
		Example: `  conclave put pay db/url --value postgres://db
  conclave put pay app.json app.json --if-match 42
  conclave put pay app.json - --type application/json --if-absent < app.json`,
		Args:              cobra.RangeArgs(2, 3),
		ValidArgsFunction: s.completeKeyAndFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			value, mediaType, err := s.value(cmd, args[2:], text)
			if err != nil {
				return err
			}
			if options.Type == "" {
				options.Type = mediaType
			}
			options.IfRevision, options.IfExists = on.revision, on.exists
			return s.writing(cmd, func(w writing) (uint64, error) { return w.Put(w.ctx, args[0], args[1], value, options) })
		},
	}
	cmd.Flags().StringVar(&text, "value", "", "the value itself")
	cmd.Flags().StringVar(&options.Type, "type", "", "media type; otherwise told by the file's name")
	matchFlag(cmd, &on)
	idempotencyFlag(cmd, &options.IdempotencyKey)
	cmd.Flags().BoolVar(&options.IfAbsent, "if-absent", false, "write only if there is no such key")
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "write nothing, and tell whether it would be written now; the revision is the store's")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "idempotency-key")
	cmd.MarkFlagsMutuallyExclusive("if-match", "if-absent")
	return cmd
}

// value reads the value from the one place that the command line names, with the
// media type that this place suggests.
func (s *session) value(cmd *cobra.Command, files []string, text string) (value []byte, mediaType string, err error) {
	given := cmd.Flags().Changed("value")
	switch {
	case given == (len(files) == 1):
		return nil, "", errors.New("give the value once: as FILE, as - for standard input, or with --value")
	case given:
		return []byte(text), "text/plain; charset=utf-8", nil
	}
	value, mediaType, err = s.fileValue(files[0])
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("there is no file %s; a value on the command line goes behind --value", files[0])
	}
	return value, mediaType, err
}

// fileValue reads a value from a file, or from standard input for -, with the media
// type that the file's name tells.
func (s *session) fileValue(name string) (value []byte, mediaType string, err error) {
	if name == "-" {
		value, err = readValue(s.in, "standard input")
		return value, "application/octet-stream", err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	mediaType, known := typesByExtension[filepath.Ext(name)]
	if !known {
		mediaType = "application/octet-stream"
	}
	value, err = readValue(file, name)
	return value, mediaType, err
}

// readValue reads all of r, which may hold as much as a value may.
func readValue(r io.Reader, name string) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(r, valueBytesMax+1))
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return nil, err // which names the file
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(value) > valueBytesMax {
		return nil, fmt.Errorf("%s is longer than a value may be, %d bytes", name, valueBytesMax)
	}
	return value, nil
}
