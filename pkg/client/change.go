package client

import (
	"encoding/json"
	"fmt"
	"time"
)

// The operations on a key, as the API calls them; OpGet is one of transactions alone.
const (
	OpPut    = "put"
	OpDelete = "delete"
	OpGet    = "get"
)

// Change is what a revision did to a key.
type Change struct {
	// Deleted tells that the key was deleted; Entry then has only its name and the
	// revision.
	Deleted bool
	// Entry is what the key became.
	Entry Entry
	// Time is what the leader's clock showed, in a history; else it is zero. It
	// decides nothing and may go backwards.
	Time time.Time
	// Reason is what a rollback gave as its reason, in a history; else it is empty.
	Reason string
}

// sentChange is the form in which the API sends a change.
type sentChange struct {
	Op   string     `json:"op"`
	Time *time.Time `json:"time,omitempty"`
	// Reason is that of a rollback.
	Reason string `json:"reason,omitempty"`
	// What follows is as in sentEntry.
	Key            string  `json:"key,omitempty"`
	Revision       uint64  `json:"revision"`
	CreateRevision uint64  `json:"createRevision,omitempty"`
	Version        uint64  `json:"version,omitempty"`
	Type           string  `json:"type,omitempty"`
	Text           *string `json:"text,omitempty"`
	Base64         []byte  `json:"base64,omitempty"`
}

// sendChange makes the form of a change.
func sendChange(op string, e Entry) sentChange {
	sent := sentChange{Op: op, Key: e.Key, Revision: e.Revision, CreateRevision: e.CreateRevision, Version: e.Version, Type: e.Type}
	sent.Text, sent.Base64 = sendValue(e.Value)
	return sent
}

// entry is what the change says of the key.
func (s *sentChange) entry() (Entry, error) {
	value, err := receiveValue(s.Text, s.Base64)
	return Entry{"", s.Key, s.Revision, s.CreateRevision, s.Version, s.Type, value}, err
}

// MarshalJSON writes the form of the API.
func (c Change) MarshalJSON() ([]byte, error) {
	sent := sendChange(OpPut, c.Entry)
	if c.Deleted {
		sent.Op = OpDelete
	}
	if !c.Time.IsZero() {
		sent.Time = &c.Time
	}
	sent.Reason = c.Reason
	return json.Marshal(sent)
}

// UnmarshalJSON reads the form of the API.
func (c *Change) UnmarshalJSON(data []byte) error {
	var sent sentChange
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	if sent.Op != OpPut && sent.Op != OpDelete {
		return fmt.Errorf("%q is no operation that changes a key", sent.Op)
	}
	*c = Change{Deleted: sent.Op == OpDelete, Reason: sent.Reason}
	if sent.Time != nil {
		c.Time = *sent.Time
	}
	var err error
	c.Entry, err = sent.entry()
	return err
}
