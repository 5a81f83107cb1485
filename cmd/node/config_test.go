package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestSettingsOfAFileAreThoseOfTheCommandLine(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"plain values", "name: node-0\ntick: 10ms\ncount: 0x10\nwide: true\n", "node-0 10ms 16 true []"},
		{"a list", "peers:\n- a\n- b:1\n", " 0s 0 false [a,b:1]"},
		{"a list in one line", "peers: [a, 'b']\nname: \"two words\"", "two words 0s 0 false [a,b]"},
		{"the command line goes first", "name: other\nport: 7\n", " 0s 0 false [] port 1"},
		{"nothing", "# nothing\n", " 0s 0 false []"},
		{"an empty document", "---\n", " 0s 0 false []"},

		{"an unknown setting", "name: a\nlabel: b\n", "line 2: there is no setting \"label\""},
		{"a setting that no file may have", "config: x\n", "line 1: there is no setting \"config\""},
		{"a wrong value", "name: a\n\ncount: many\n", "line 3: count:"},
		{"a boolean of old", "wide: yes\n", "line 1: wide:"},
		{"no value", "name:\n", "line 1: name: has no value"},
		{"a map", "name: {a: b}\n", "line 1: name: want a plain value or a list"},
		{"an alias", "name: &n a\npeers: *n\n", "line 2: peers: want a plain value or a list"},
		{"a list of lists", "peers: [[a], b]\n", "line 1: peers: want a list of plain values, and item 1 is none"},
		{"a setting twice", "name: a\ncount: 1\nname: b\n", "line 3: name stands in line 1 already"},
		{"two documents", "name: a\n---\nname: b\n", "want one YAML document"},
		{"no settings", "- a\n", "line 1: want settings of the form name: value"},
		{"no YAML", "name: [a\n", "line"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "node.yaml")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var name string
			var tick time.Duration
			var count, port int
			var wide bool
			var peers []string
			flags := pflag.NewFlagSet("node", pflag.ContinueOnError)
			flags.StringVar(&name, "name", "", "")
			flags.DurationVar(&tick, "tick", 0, "")
			flags.IntVar(&count, "count", 0, "")
			flags.IntVar(&port, "port", 0, "")
			flags.BoolVar(&wide, "wide", false, "")
			flags.StringSliceVar(&peers, "peers", nil, "")
			flags.String("config", "", "")
			if err := flags.Parse([]string{"--port", "1"}); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := readConfig(path, flags); err != nil {
				if got = err.Error(); !strings.Contains(got, path) {
					t.Errorf("%q doesn't name the file", got)
				}
			} else {
				got = name + " " + tick.String() + " " + flags.Lookup("count").Value.String() + " " +
					flags.Lookup("wide").Value.String() + " [" + strings.Join(peers, ",") + "] port " + flags.Lookup("port").Value.String()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if err := readConfig(filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("a file that isn't there was read")
	}
}
