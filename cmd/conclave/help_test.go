package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/spf13/cobra"
)

// TestHelp compares the help of every command with testdata/help. -rewrite writes it
// anew.
func TestHelp(t *testing.T) {
	s := &session{program: program{name: "conclave"}, output: outputText, endpoints: []string{defaultEndpoint}}
	undocumented := map[string]bool{}
	visit(s.command(), func(cmd *cobra.Command) { undocumented[cmd.CommandPath()] = true })
	datadriven.RunTest(t, "testdata/help", func(t *testing.T, d *datadriven.TestData) string {
		var out, complaints bytes.Buffer
		p := program{name: "conclave", env: func(string) string { return "" }, out: &out, err: &complaints}
		args := strings.Fields(d.Input)
		if status := p.run(t.Context(), append(args, "--help")); status != exitOK {
			t.Errorf("%s: %s --help: status %d", d.Pos, d.Input, status)
		}
		delete(undocumented, strings.Join(append([]string{"conclave"}, args...), " "))
		return out.String() + complaints.String()
	})
	for path := range undocumented {
		t.Errorf("testdata/help lacks %s", path)
	}
}

// visit calls do for a command and all below it.
func visit(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, child := range cmd.Commands() {
		visit(child, do)
	}
}

func TestTheHelpOfEveryCommandHasAnExample(t *testing.T) {
	s := &session{program: program{name: "conclave"}, output: outputText}
	visit(s.command(), func(cmd *cobra.Command) {
		words := strings.Join(strings.Fields(cmd.Example), " ") + " "
		if !strings.Contains(words, cmd.CommandPath()+" ") {
			t.Errorf("%s: no example calls it: %q", cmd.CommandPath(), cmd.Example)
		}
	})
}
