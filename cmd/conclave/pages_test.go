package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThePagesCallCommandsThatExist looks at each call of conclave on README and
// the pages of docs: its subcommand and its flags.
func TestThePagesCallCommandsThatExist(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	calls := regexp.MustCompile("(?:`|\\| |bin/)conclave ([a-z][^`|>)\\n]*)")
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range calls.FindAllStringSubmatch(string(text), -1) {
			found++
			root := (&session{}).command()
			words := strings.Fields(call[1])
			command, _, err := root.Find(words)
			if err != nil || command == root {
				t.Errorf("%s: conclave %s: there is no such command", page, call[1])
				continue
			}
			for _, word := range words {
				name, isFlag := strings.CutPrefix(word, "--")
				name, _, _ = strings.Cut(name, "=")
				if isFlag && name != "help" && command.Flag(name) == nil {
					t.Errorf("%s: conclave %s: there is no flag --%s", page, call[1], name)
				}
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d calls are found: has the way of writing them changed?", found)
	}
}
