package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// outputForm is how an answer is shown: for people, or for programs.
type outputForm string

const (
	outputText outputForm = "text"
	outputJSON outputForm = "json"
	outputYAML outputForm = "yaml"
)

// Set, String and Type make it a flag's value.
func (o *outputForm) Set(text string) error {
	switch form := outputForm(text); form {
	case outputText, outputJSON, outputYAML:
		*o = form
		return nil
	}
	return errors.New("want text, json or yaml")
}

func (o *outputForm) String() string { return string(*o) }

// Type is the name of the kind of value in help.
func (o *outputForm) Type() string { return "FORM" }

// completeOutput are the forms, for completion.
func completeOutput(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{string(outputText), string(outputJSON), string(outputYAML)}, cobra.ShellCompDirectiveNoFileComp
}

// show prints a value: by text for people, or else in the form that was asked for.
func (s *session) show(value any, text func() error) error {
	if s.output == outputText {
		return text()
	}
	return s.encode(value)
}

// encode prints a value as a line of JSON or a document of YAML; each may follow
// others.
func (s *session) encode(value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if s.output == outputJSON {
		_, err = s.out.Write(append(line, '\n'))
		return err
	}
	document, err := writeYAML(line)
	if err != nil {
		return err
	}
	if s.documents++; s.documents > 1 {
		document = append([]byte("---\n"), document...)
	}
	_, err = s.out.Write(document)
	return err
}

// written is the outcome of a write.
type written struct {
	Revision uint64 `json:"revision"`
}

// showRevision prints the revision that a write made.
func (s *session) showRevision(revision uint64) error {
	return s.show(written{revision}, func() error {
		_, err := fmt.Fprintln(s.out, revision)
		return err
	})
}

// newTable returns a writer that aligns columns separated by tabs.
func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 8, 3, ' ', 0) }
