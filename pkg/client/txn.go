package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Txn is a transaction in one namespace: what Then or Else says happens as one
// revision, or not at all. It has up to 128 operations and as many conditions, and no
// key in two operations.
type Txn struct {
	Namespace string `json:"namespace"`
	// If holds when all its conditions do, and when there are none.
	If []Condition `json:"if,omitempty"`
	// Then is carried out when If holds, and Else when it doesn't. Without Else the
	// transaction is refused then: ErrChanged.
	Then []Operation `json:"then,omitempty"`
	Else []Operation `json:"else,omitempty"`
	// IdempotencyKey, if not empty, makes it safe to send again: see
	// NewIdempotencyKey.
	IdempotencyKey string `json:"-"`
}

// Condition is what must hold of a key: one of the three.
type Condition struct {
	Key string `json:"key"`
	// Revision is the key's revision.
	Revision uint64 `json:"revision,omitempty"`
	// Version is how often it was written since it was created.
	Version uint64 `json:"version,omitempty"`
	// Exists tells whether there is such a key.
	Exists *bool `json:"exists,omitempty"`
}

// Operation is one step of a transaction.
type Operation struct {
	// Op is OpPut, OpDelete, which leaves an absent key as it is, or OpGet.
	Op  string
	Key string
	// Value and Type are for OpPut alone.
	Value []byte
	Type  string
}

// sentOperation is the form in which the API takes an operation.
type sentOperation struct {
	Op     string  `json:"op"`
	Key    string  `json:"key"`
	Type   string  `json:"type,omitempty"`
	Text   *string `json:"text,omitempty"`
	Base64 []byte  `json:"base64,omitempty"`
}

// MarshalJSON writes the form of the API.
func (o Operation) MarshalJSON() ([]byte, error) {
	sent := sentOperation{Op: o.Op, Key: o.Key, Type: o.Type}
	value := o.Value
	if value == nil && o.Op == OpPut {
		value = []byte{} // which is a value too
	}
	sent.Text, sent.Base64 = sendValue(value)
	return json.Marshal(sent)
}

// UnmarshalJSON reads the form of the API, and refuses what a node would refuse: a
// field that means nothing, and a put without a value.
func (o *Operation) UnmarshalJSON(data []byte) error {
	var sent sentOperation
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&sent); err != nil {
		return err
	}
	value, err := receiveValue(sent.Text, sent.Base64)
	if err == nil && sent.Op == OpPut && value == nil {
		err = fmt.Errorf("the put of key %q has no value, neither text nor base64", sent.Key)
	}
	*o = Operation{sent.Op, sent.Key, value, sent.Type}
	return err
}

// TxnResult is what a transaction did.
type TxnResult struct {
	// Succeeded tells that If held, and so whether Then or Else was carried out.
	Succeeded bool `json:"succeeded"`
	// Revision is the one that it made, or the store's when it changed nothing.
	Revision uint64 `json:"revision"`
	// Results tell of each operation, at its place.
	Results []OperationResult `json:"results"`
}

// OperationResult is what an operation wrote or found.
type OperationResult struct {
	Op  string `json:"op"`
	Key string `json:"key"`
	// Revision is the key's then, 0 after a delete and for an absent key.
	Revision uint64 `json:"revision,omitempty"`
	// Entry is what OpGet found; nil when there is none, or no room for it in an
	// answer of 2 MiB of values.
	Entry *Entry `json:"entry,omitempty"`
}

// Txn carries a transaction out. On any error, see Error.Outcome.
func (c *Client) Txn(ctx context.Context, txn Txn) (*TxnResult, error) {
	if txn.Namespace == "" {
		return nil, errors.New("client: a namespace is needed")
	}
	body, err := json.Marshal(txn)
	if err != nil {
		return nil, fmt.Errorf("client: transaction: %w", err)
	}
	post := call{method: http.MethodPost, path: "/v1/txn", body: body, header: http.Header{"Content-Type": {"application/json"}}}
	nameWrite(post.header, txn.IdempotencyKey)
	result := new(TxnResult)
	if err := c.post(ctx, post, result); err != nil {
		return nil, err
	}
	return result, nil
}

// post sends a call and decodes its answer.
func (c *Client) post(ctx context.Context, post call, answer any) error {
	reply, err := c.do(ctx, post)
	if err != nil {
		return err
	}
	return reply.decode(post, answer)
}
