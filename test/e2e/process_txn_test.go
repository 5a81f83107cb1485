//go:build linux

package e2e

import (
	"encoding/json"
	"net/http"

	"github.com/conclave-dev/conclave/test/e2e/history"
)

// txnStep is an operation of a transaction as it is sent.
type txnStep struct {
	Op   string  `json:"op"`
	Key  string  `json:"key"`
	Text *string `json:"text,omitempty"`
}

// txnBody is a transaction as it is sent.
type txnBody struct {
	Namespace string           `json:"namespace"`
	If        []map[string]any `json:"if"`
	Then      []txnStep        `json:"then"`
	Else      []txnStep        `json:"else,omitempty"`
}

// text returns the body of a request.
func (b *txnBody) text() string {
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // The test itself is wrong.
	}
	return string(text)
}

// txnRequest returns the request that a transaction is.
func txnRequest(t *history.Transaction) request {
	body := txnBody{Namespace: namespace, If: []map[string]any{}, Then: txnSteps(t.Then), Else: txnSteps(t.Else)}
	for _, c := range t.If {
		condition := map[string]any{"key": c.Key, "revision": c.Revision}
		if c.Revision == 0 {
			condition = map[string]any{"key": c.Key, "exists": false}
		}
		body.If = append(body.If, condition)
	}
	return request{method: http.MethodPost, txn: true, value: body.text()}
}

func txnSteps(steps []history.Step) []txnStep {
	var sent []txnStep
	for _, s := range steps {
		step := txnStep{Op: string(s.Kind), Key: s.Key}
		if s.Kind == history.Put {
			step.Text = &s.Value
		}
		sent = append(sent, step)
	}
	return sent
}

// judgeTxn sets what the answer to a transaction that was carried out says of it.
// One that took its second branch is taken to have changed nothing: it must only
// read there.
func judgeTxn(o *history.Operation, a answer) (fault string) {
	var reply struct {
		Succeeded bool
		Revision  uint64
		Results   []struct {
			Op, Key  string
			Revision uint64
			Entry    *struct {
				Text     string
				Revision uint64
			}
		}
	}
	if err := json.Unmarshal([]byte(a.value), &reply); err != nil {
		return "an answer that can't be read"
	}
	t := *o.Txn
	t.Succeeded, t.Saw = reply.Succeeded, nil
	o.Txn = &t
	if o.Outcome, o.Revision = history.Done, reply.Revision; !t.Succeeded {
		o.Revision, o.Standing = 0, reply.Revision
	}
	if a.revision != reply.Revision || len(reply.Results) != len(t.Branch()) {
		return "an answer of another revision or number of results"
	}
	for i, step := range t.Branch() {
		r := reply.Results[i]
		var saw history.Sight
		switch {
		case r.Op != string(step.Kind) || r.Key != step.Key:
			return "a result of another operation"
		case step.Kind == history.Put && r.Revision != reply.Revision, step.Kind == history.Delete && r.Revision != 0:
			return "a result of another revision"
		case step.Kind == history.Get && (r.Entry != nil) != (r.Revision != 0), r.Entry != nil && r.Entry.Revision != r.Revision:
			return "a result without what it read"
		case r.Entry != nil:
			saw = history.Sight{Revision: r.Revision, Value: r.Entry.Text}
		}
		t.Saw = append(t.Saw, saw)
	}
	return ""
}
