package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/pkg/client"
)

// txnBytesMax is the longest transaction that nodes take.
const txnBytesMax = 8 << 20

// txnCommand carries a transaction out.
func (s *session) txnCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "txn NAMESPACE FILE|-",
		Short: "Change several keys at once, on conditions",
		Long: `Carry out a transaction from a file or standard input (-), and print what it did. If
all conditions hold, "then" happens, and otherwise "else", all of it as one revision;
without "else" nothing happens then, and the exit status is 4.

  {"if":   [{"key": "a", "revision": 42}, {"key": "b", "exists": false}],
   "then": [{"op": "put", "key": "b", "text": "x", "type": "text/plain"},
            {"op": "delete", "key": "c"}],
   "else": [{"op": "get", "key": "a"}]}

A value is "text" or "base64". A condition is on "revision", "version" or "exists".`,
		Example: "  conclave txn pay change.json",
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveDefault // a file
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			txn, err := s.readTxn(args[1])
			if err != nil {
				return err
			}
			txn.Namespace, txn.IdempotencyKey = args[0], key
			ctx, cancel, c, err := s.connect(cmd)
			if err != nil {
				return err
			}
			defer cancel()
			result, err := c.Txn(ctx, *txn)
			if err != nil {
				return err
			}
			return s.show(result, func() error { return s.showTxn(result) })
		},
	}
	idempotencyFlag(cmd, &key)
	return cmd
}

// readTxn reads a transaction, and refuses what it would ignore.
func (s *session) readTxn(place string) (*client.Txn, error) {
	from, name := s.in, "standard input"
	if place != "-" {
		file, err := os.Open(place)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from, name = file, place
	}
	text, err := io.ReadAll(io.LimitReader(from, txnBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > txnBytesMax {
		return nil, fmt.Errorf("%s is longer than a transaction may be", name)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s is not UTF-8; such values are base64", name)
	}
	// The namespace is on the command line.
	var txn struct {
		If         []client.Condition `json:"if"`
		Then, Else []client.Operation
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&txn); err != nil {
		return nil, fmt.Errorf("%s is no transaction: %w", name, withoutValue(err))
	}
	if decoder.More() {
		return nil, fmt.Errorf("%s: something follows the transaction, near byte %d", name, decoder.InputOffset())
	}
	return &client.Txn{If: txn.If, Then: txn.Then, Else: txn.Else}, nil
}

// showTxn prints what a transaction did: a line an operation.
func (s *session) showTxn(result *client.TxnResult) error {
	branch := "then"
	if !result.Succeeded {
		branch = "else"
	}
	if _, err := fmt.Fprintf(s.out, "%d %s\n", result.Revision, branch); err != nil {
		return err
	}
	for _, one := range result.Results {
		line := fmt.Sprintf("%s %s", one.Op, one.Key)
		if one.Op == client.OpGet && one.Revision != 0 {
			line += fmt.Sprintf(" %d", one.Revision)
		}
		if one.Entry != nil {
			line += fmt.Sprintf(" %q", one.Entry.Value)
		}
		if _, err := fmt.Fprintln(s.out, line); err != nil {
			return err
		}
	}
	return nil
}
