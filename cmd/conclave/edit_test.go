package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/client"
)

func TestEditLosesNoConcurrentChange(t *testing.T) {
	for name, before := range map[string]string{"of a value": "first", "of its creation": ""} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			real := node(t)
			c, err := client.New(client.Options{Endpoints: []string{real}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			write := func(value string) {
				if _, err := c.Put(t.Context(), "pay", "k", []byte(value), client.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
			if before != "" {
				write(before)
			}
			// Just before what was edited arrives, somebody else writes.
			target, err := url.Parse(real)
			if err != nil {
				t.Fatal(err)
			}
			proxy := httputil.NewSingleHostReverseProxy(target)
			between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut {
					write("somebody else's")
				}
				proxy.ServeHTTP(w, r)
			}))
			defer between.Close()

			editor := filepath.Join(t.TempDir(), "editor")
			if err := os.WriteFile(editor, []byte("#!/bin/sh\nprintf mine > \"$1\"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			var complaints bytes.Buffer
			env := func(name string) string {
				return map[string]string{"EDITOR": editor, "CONCLAVE_ENDPOINT": between.URL}[name]
			}
			p := program{name: "conclave", env: env, in: strings.NewReader(""), out: io.Discard, err: &complaints}
			if status := p.run(t.Context(), []string{"edit", "pay", "k"}); status != exitChanged {
				t.Errorf("status %d with %s, want %d", status, complaints.String(), exitChanged)
			}
			if entry, err := c.Get(t.Context(), "pay", "k", client.ReadOptions{}); err != nil || string(entry.Value) != "somebody else's" {
				t.Errorf("Get = %+v, %v: the other change is lost", entry, err)
			}
			kept, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "conclave-edit-*", "*"))
			if err != nil || len(kept) != 1 || !strings.Contains(complaints.String(), kept[0]) {
				t.Fatalf("kept %q, %v, and told %s: want one file, and named", kept, err, complaints.String())
			}
			if text, err := os.ReadFile(kept[0]); err != nil || string(text) != "mine" {
				t.Errorf("kept %q, %v, want what was edited", text, err)
			}
		})
	}
}

func TestAnEditorThatWritesNothingMakesNoKey(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	real := node(t)
	env := func(name string) string { return map[string]string{"EDITOR": "true", "CONCLAVE_ENDPOINT": real}[name] }
	for _, args := range [][]string{{"edit", "pay", "k"}, {"edit", "pay", "k", "--type", "application/json"}} {
		var said bytes.Buffer
		p := program{name: "conclave", env: env, in: strings.NewReader(""), out: io.Discard, err: &said}
		if status := p.run(t.Context(), args); status != 0 || !strings.Contains(said.String(), "nothing was changed") {
			t.Errorf("%q: status %d with %s", args, status, said.String())
		}
	}
	c, err := client.New(client.Options{Endpoints: []string{real}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if entry, err := c.Get(t.Context(), "pay", "k", client.ReadOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("Get = %+v, %v: a key was made", entry, err)
	}
}
