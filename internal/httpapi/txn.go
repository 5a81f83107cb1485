package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/conclave-dev/conclave/pkg/config"
)

const (
	// maxTxnBytes is the size of the largest body of a transaction: what a command
	// may hold, in base64 or escaped a little.
	maxTxnBytes = 8 << 20
	// maxTxnReplyBytes of values are shown in the reply to a transaction.
	maxTxnReplyBytes = config.MaxValueBytes
)

// txnBody is the body of a transaction.
type txnBody struct {
	Namespace string         `json:"namespace"`
	If        []txnCondition `json:"if"`
	Then      []txnOperation `json:"then"`
	Else      []txnOperation `json:"else"`
}

// txnCondition is what must hold of a key: one of the three.
type txnCondition struct {
	Key      string  `json:"key"`
	Revision *uint64 `json:"revision"`
	Version  *uint64 `json:"version"`
	Exists   *bool   `json:"exists"`
}

// txnOperation is a step. A put has a value, as text or base64.
type txnOperation struct {
	Op     string  `json:"op"`
	Key    string  `json:"key"`
	Type   string  `json:"type"`
	Text   *string `json:"text"`
	Base64 *[]byte `json:"base64"`
}

func (c *txnCondition) condition() (config.Condition, error) {
	condition := config.Condition{Key: c.Key}
	given := 0
	if c.Revision != nil {
		given++
		condition.Is = config.IfRevision(*c.Revision)
	}
	if c.Version != nil {
		given++
		condition.Is = config.IfVersion(*c.Version)
	}
	if c.Exists != nil {
		given++
		condition.Is = config.IfAbsent()
		if *c.Exists {
			condition.Is = config.IfExists()
		}
	}
	if given != 1 {
		return condition, errMalformed.because("it must have one of revision, version and exists")
	}
	return condition, nil
}

func (o *txnOperation) operation() (config.Operation, error) {
	operation := config.Operation{Key: o.Key, MediaType: o.Type}
	switch o.Op {
	case "put":
		operation.Kind = config.OperationPut
		if (o.Text == nil) == (o.Base64 == nil) {
			return operation, errMalformed.because("a put must have either text or base64")
		}
		if o.Text != nil {
			operation.Value = []byte(*o.Text)
		} else {
			operation.Value = *o.Base64
		}
		return operation, nil
	case "delete":
		operation.Kind = config.OperationDelete
	case "get":
		operation.Kind = config.OperationGet
	default:
		return operation, errMalformed.because("op %.20q isn't one of put, delete and get", o.Op)
	}
	if o.Type != "" || o.Text != nil || o.Base64 != nil {
		return operation, errMalformed.because("a %s has no value", o.Op)
	}
	return operation, nil
}

// txn returns the transaction that the body describes.
func (b *txnBody) txn() (config.Txn, error) {
	txn := config.Txn{Namespace: b.Namespace}
	for i := range b.If {
		condition, err := b.If[i].condition()
		if err != nil {
			return txn, fmt.Errorf("if[%d]: %w", i, err)
		}
		txn.If = append(txn.If, condition)
	}
	for _, branch := range []struct {
		name string
		from []txnOperation
		to   *[]config.Operation
	}{{"then", b.Then, &txn.Then}, {"else", b.Else, &txn.Else}} {
		for i := range branch.from {
			operation, err := branch.from[i].operation()
			if err != nil {
				return txn, fmt.Errorf("%s[%d]: %w", branch.name, i, err)
			}
			*branch.to = append(*branch.to, operation)
		}
	}
	return txn, nil
}

// txnResult tells what one operation wrote or found. Revision is absent where
// there is nothing: a key that is absent or was deleted. After a get what was found
// follows as entry, as far as it has room in the reply and is still known.
type txnResult struct {
	Op       string `json:"op"`
	Key      string `json:"key"`
	Revision uint64 `json:"revision,omitempty"`
}

// postTxn serves /v1/txn.
func (h *Handler) postTxn(w http.ResponseWriter, r *http.Request, _ target) error {
	idempotency, err := readIdempotencyKey(r.Header)
	if err != nil {
		return err
	}
	var body txnBody
	if err := h.readJSON(r, min(maxTxnBytes, h.MaxBodyBytes), &body); err != nil {
		return err
	}
	txn, err := body.txn()
	if err != nil {
		return err
	}
	txn.Idempotency = idempotency
	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	result, entries, err := h.Store.Txn(ctx, txn)
	if err != nil {
		return refused(result, err)
	}
	done := body.Then
	if !result.Txn.Succeeded {
		done = body.Else
	}
	size := 0
	d := newDocument(w, written(result), jsonMediaType)
	d.text(`{"succeeded":`)
	d.value(result.Txn.Succeeded)
	d.revision("revision", result.Revision)
	d.each("results", len(done), func(i int) {
		d.open(txnResult{Op: done[i].Op, Key: done[i].Key, Revision: result.Txn.Operations[i].Revision})
		if e := entries[i]; e != nil && done[i].Op == "get" {
			if size += len(e.Value); size <= maxTxnReplyBytes {
				d.text(`,"entry":`)
				d.entry(txn.Namespace, e)
			}
		}
		d.text("}")
	})
	d.text("}")
	d.end()
	return nil
}
