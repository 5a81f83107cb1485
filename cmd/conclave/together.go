package main

import (
	"context"
	"fmt"

	"github.com/conclave-dev/conclave/pkg/client"
)

// What a transaction takes: operations, and bytes of keys and values. Nodes count some
// more bytes around each, and have the last word.
const (
	togetherItemsMax = 128
	togetherBytesMax = 4 << 20
)

// checkTogether refuses what is more than a transaction takes.
func (c *cargo) checkTogether() error {
	if len(c.items) > togetherItemsMax || c.bytes > togetherBytesMax {
		return fmt.Errorf("--atomic: %d keys with %d bytes are more than a transaction takes, %d and %d: import them in parts, or without --atomic",
			len(c.items), c.bytes, togetherItemsMax, togetherBytesMax)
	}
	return nil
}

// together writes all keys as one revision, on the condition that all of them, those
// that are as they should be too, stay as they were when they were compared.
func (i *importer) together(ctx context.Context, items []item) error {
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	txn := client.Txn{Namespace: i.namespace, IdempotencyKey: client.NewIdempotencyKey()}
	var changes []change
	for _, one := range items {
		c, err := i.compare(ctx, one)
		if err != nil {
			return fmt.Errorf("%s: %w", one.from, err)
		}
		txn.If = append(txn.If, c.condition())
		if c.same {
			continue
		}
		changes = append(changes, c)
		txn.Then = append(txn.Then, client.Operation{Op: client.OpPut, Key: c.key, Value: c.value, Type: c.options.Type})
		if i.dryRun {
			if _, err := i.client.Put(ctx, i.namespace, c.key, c.value, c.options); err != nil {
				return fmt.Errorf("%s: %w", one.from, err)
			}
		}
	}
	revision := uint64(0)
	if len(changes) > 0 && !i.dryRun {
		result, err := i.client.Txn(ctx, txn)
		if err != nil {
			return err
		}
		revision = result.Revision
	}
	for _, c := range changes {
		if err := i.wrote(c, revision); err != nil {
			return err
		}
	}
	return nil
}

// condition is that of the change, as a transaction has it.
func (c change) condition() client.Condition {
	if c.options.IfAbsent {
		absent := false
		return client.Condition{Key: c.key, Exists: &absent}
	}
	return client.Condition{Key: c.key, Revision: c.options.IfRevision}
}
