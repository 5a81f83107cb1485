package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/client"
)

// slowAnswer is a person who says yes after something else has happened.
type slowAnswer struct {
	meanwhile func()
	answer    io.Reader
}

func (s *slowAnswer) Read(into []byte) (int, error) {
	if s.meanwhile != nil {
		s.meanwhile()
		s.meanwhile = nil
	}
	return s.answer.Read(into)
}

func TestARollbackUndoesNothingThatWasNotShown(t *testing.T) {
	real := node(t)
	c, err := client.New(client.Options{Endpoints: []string{real}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	write := func(key, value string) {
		if _, err := c.Put(t.Context(), "pay", key, []byte(value), client.PutOptions{}); err != nil {
			t.Error(err)
		}
	}
	write("db/url", "first")
	write("db/url", "second")
	var complaints bytes.Buffer
	p := program{
		name: "conclave", env: environment(real), out: io.Discard, err: &complaints,
		in: &slowAnswer{func() { write("db/user", "somebody else's") }, strings.NewReader("yes\n")},
	}
	if status := p.run(t.Context(), []string{"rollback", "pay", "--to", "1", "--prefix", "db/"}); status != exitChanged ||
		!strings.Contains(complaints.String(), `"db/user" has changed since it was shown`) {
		t.Errorf("status %d with %s, want %d and the key", status, complaints.String(), exitChanged)
	}
	for key, want := range map[string]string{"db/url": "second", "db/user": "somebody else's"} {
		if entry, err := c.Get(t.Context(), "pay", key, client.ReadOptions{}); err != nil || string(entry.Value) != want {
			t.Errorf("%s: %+v, %v, want %q", key, entry, err, want)
		}
	}
}
