//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A mistake is a way to start a node that can't work.
type mistake struct {
	name string
	// flags are added to those of a right start, which they override; a right
	// start has no data and no peer but itself.
	flags []string
	// config, if not empty, is the content of a configuration file.
	config string
	// bare leaves out the flags of a right start.
	bare bool
	// want are parts of what the node says, on more lines than one if more than one
	// thing is wrong.
	want []string
	more int
}

// In flags and wanted words, DIR is a directory that holds what prepareMistakes
// puts there, and PORT an address that is in use.
var mistakes = []mistake{
	{name: "unknown flag", flags: []string{"--frobnicate"}, want: []string{"--frobnicate", "--help"}},
	{name: "unexpected word", flags: []string{"now"}, want: []string{`"now"`, "--help"}},
	{name: "missing data directory", bare: true, flags: []string{"--initial-peers", "a=127.0.0.1:1", "--name", "a"}, want: []string{"data-dir", "missing"}},
	{name: "missing peers", bare: true, flags: []string{"--data-dir", "DIR/data", "--name", "a"}, want: []string{"initial-peers", "discovery-service"}},
	{name: "data directory is a file", flags: []string{"--data-dir", "DIR/file"}, want: []string{"DIR/file", "not a directory"}},
	{name: "data directory below a file", flags: []string{"--data-dir", "DIR/file/data"}, want: []string{"DIR/file/data", "not a directory"}},
	{name: "data directory that can't be made", flags: []string{"--data-dir", "/proc/data"}, want: []string{"/proc/data"}},
	{name: "data directory of somebody else", flags: []string{"--data-dir", "DIR/foreign"}, want: []string{"DIR/foreign", "mine.txt"}},
	{name: "http port in use", flags: []string{"--http", "PORT"}, want: []string{"http", "PORT", "in use"}},
	{name: "peer port in use", flags: []string{"--peer", "PORT"}, want: []string{"peer", "PORT", "in use"}},
	{name: "ops port in use", flags: []string{"--ops", "PORT"}, want: []string{"ops", "PORT", "in use"}},
	{name: "address without a port", flags: []string{"--http", "127.0.0.1"}, want: []string{"http", `"127.0.0.1"`, "host:port"}},
	{name: "port out of range", flags: []string{"--ops", "127.0.0.1:99999"}, want: []string{"ops", "99999"}},
	{name: "address of another machine", flags: []string{"--peer", "203.0.113.1:8401"}, want: []string{"peer", "203.0.113.1:8401"}},
	{name: "peers without names", flags: []string{"--initial-peers", "127.0.0.1:8401"}, want: []string{"initial-peers", "127.0.0.1:8401", "name=host:port"}},
	{name: "peer without a port", flags: []string{"--initial-peers", "a=localhost"}, want: []string{"initial-peers", "localhost", "host:port"}},
	{name: "peer named twice", flags: []string{"--initial-peers", "a=h:1,a=h:2"}, want: []string{"initial-peers", `"a"`, "twice"}},
	{name: "node not among the peers", flags: []string{"--name", "z"}, want: []string{"initial-peers", `"z"`}},
	{name: "name that is none", flags: []string{"--name", "A b"}, want: []string{"name", `"A b"`}, more: 1},
	{name: "duration without a unit", flags: []string{"--heartbeat-interval", "50"}, want: []string{"--heartbeat-interval", `"50"`, "unit"}},
	{name: "duration between the ticks", flags: []string{"--heartbeat-interval", "55ms"}, want: []string{"heartbeat-interval", "55ms", "10ms"}},
	{name: "heartbeat too slow", flags: []string{"--heartbeat-interval", "500ms"}, want: []string{"heartbeat-interval", "500ms", "150ms"}},
	{name: "unknown initial state", flags: []string{"--initial-state", "old"}, want: []string{"initial-state", `"old"`, `"existing"`}},
	{name: "cluster ID that is none", flags: []string{"--cluster-id", "prod"}, want: []string{"cluster-id", `"prod"`, "32"}},
	{name: "missing token file", flags: []string{"--admin-token-file", "DIR/token"}, want: []string{"token", "DIR/token"}},
	{name: "unknown log level", flags: []string{"--log-level", "loud"}, want: []string{"log-level", `"loud"`, "debug"}},
	{name: "missing configuration file", flags: []string{"--config", "DIR/nowhere.yaml"}, want: []string{"config", "DIR/nowhere.yaml"}},
	{name: "configuration is a directory", flags: []string{"--config", "DIR"}, want: []string{"config", "DIR", "directory"}},
	{name: "unknown setting", config: "data-dri: /tmp\n", want: []string{"DIR/node.yaml", `"data-dri"`}},
	{name: "setting of a wrong type", config: "snapshot-entries: many\n", want: []string{"DIR/node.yaml", "snapshot-entries", `"many"`}},
	{name: "setting that is a map", config: "log-level:\n  http: debug\n", want: []string{"DIR/node.yaml", "log-level", "map"}},
	{name: "setting without a value", config: "log-level:\n", want: []string{"DIR/node.yaml", "log-level", "no value"}},
	{name: "setting named twice", config: "log-level: info\nlog-level: warn\n", want: []string{"DIR/node.yaml", "line 2", "log-level"}},
	{name: "broken YAML", config: "log-level: info\nhosts: [a, b\n", want: []string{"DIR/node.yaml", "yaml: line"}},
	{name: "YAML that is no map", config: "- a\n- b\n", want: []string{"DIR/node.yaml", "line 1"}},
}

func TestMistakesAreToldAndTouchNothing(t *testing.T) {
	c := startCluster(t, 1)
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			dir := prepareMistake(t, m)
			translate := strings.NewReplacer("DIR", dir, "PORT", c.nodes[0].http).Replace
			flags := []string{"--name", "a", "--initial-peers", "a=127.0.0.1:1", "--data-dir", "DIR/data"}
			for _, port := range []string{"--http", "--peer", "--ops"} {
				flags = append(flags, port, "127.0.0.1:0")
			}
			if m.bare {
				flags = nil
			}
			flags = append(flags, m.flags...)
			if m.config != "" {
				flags = append(flags, "--config", "DIR/node.yaml")
			}
			before := inventory(t, dir)
			said := failToStart(t, 1+m.more, strings.Split(translate(strings.Join(flags, "\x00")), "\x00"))
			for _, want := range m.want {
				if !strings.Contains(said, translate(want)) {
					t.Errorf("it doesn't mention %s: %s", translate(want), said)
				}
			}
			if after := inventory(t, dir); after != before {
				t.Errorf("it touched data: there was %s and now is %s", before, after)
			}
		})
	}
}

// prepareMistake returns a directory with what mistakes speak of.
func prepareMistake(t *testing.T, m mistake) string {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "foreign"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"file": "text", "foreign/mine.txt": "text", "node.yaml": m.config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// inventory lists the files below a directory with their contents.
func inventory(t *testing.T, dir string) string {
	var all []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			all = append(all, path+"/")
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		all = append(all, path+"="+string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// failToStart starts a node that has to end by itself with a status other than 0
// and some lines of explanation, which are returned.
func failToStart(t *testing.T, lines int, flags []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := exec.CommandContext(ctx, nodeBinary(t), flags...)
	start.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stdout, stderr bytes.Buffer
	start.Stdout, start.Stderr = &stdout, &stderr
	err := start.Run()
	said := stderr.String()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("node %s: ended with %v, not with status 1: %s", strings.Join(flags, " "), err, said)
	}
	if stdout.Len() > 0 {
		t.Errorf("an error belongs on standard error; standard output has %q", stdout.String())
	}
	if strings.Count(said, "\n") != lines || strings.Count("\n"+said, "\nnode: ") != lines {
		t.Errorf("want %d lines that begin with the program's name, got:\n%s", lines, said)
	}
	return said
}

func TestMistakesWithExistingDataAreTold(t *testing.T) {
	c := startCluster(t, 1)
	owner := c.nodes[0]
	c.put(owner, "kept", "value")
	other := layOut(t, []string{loopback()}).nodes[0] // for its ports
	elsewhere := []string{"--http", other.http, "--peer", other.peer, "--ops", other.ops, "--data-dir", owner.dir}
	again := func(flags ...string) []string { return append(append([]string{}, flags...), elsewhere...) }

	said := failToStart(t, 1, again("--name", "a", "--initial-peers", "a="+owner.peer))
	if !strings.Contains(said, owner.dir) || !strings.Contains(said, "in use by process") {
		t.Errorf("a directory in use: %s", said)
	}
	if a := c.do(owner, request{method: "GET", key: "kept"}); a.value != "value" {
		t.Errorf("the owner of the directory was disturbed: %v", a)
	}
	owner.stop()
	said = failToStart(t, 1, again("--name", "b", "--initial-peers", "b="+owner.peer))
	if !strings.Contains(said, owner.dir) || !strings.Contains(said, `"a"`) || !strings.Contains(said, `"b"`) {
		t.Errorf("a directory of another node: %s", said)
	}
	id := strings.Repeat("0123456789abcdef", 2)
	said = failToStart(t, 1, again("--name", "a", "--initial-peers", "a="+owner.peer, "--cluster-id", id))
	if !strings.Contains(said, owner.dir) || !strings.Contains(said, id) {
		t.Errorf("a directory of another cluster: %s", said)
	}
	owner.start()
	owner.awaitReady()
	if a := c.do(owner, request{method: "GET", key: "kept"}); a.value != "value" {
		t.Errorf("after the mistakes the directory has %v", a)
	}
}
