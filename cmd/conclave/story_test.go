package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

// lonely replicates to nobody: a command is applied when it is proposed.
type lonely struct {
	state *config.State
	mu    sync.Mutex
	index uint64
}

// Propose applies the command, each a second after the one before.
func (l *lonely) Propose(_ context.Context, command []byte, _ bool) (config.Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index++
	stamp := config.Stamp{TimeMillis: 1_750_000_000_000 + 1000*l.index, ElapsedMillis: 1000}
	result := l.state.Apply(l.index, stamp, config.Origin{}, command)
	l.state.Publish()
	return result, nil
}

func (l *lonely) ReadBarrier(ctx context.Context) error { return ctx.Err() }

func (l *lonely) Leader() (string, bool) { return "node-0", true }

func (l *lonely) Cluster(context.Context) (httpapi.ClusterStatus, error) {
	return httpapi.ClusterStatus{
		ClusterID: "c1", Name: "node-0", Version: "1.2.3", Ready: true, Leader: "node-0", Term: 7, CommitIndex: 9, AppliedIndex: 9,
		Members: []httpapi.ClusterMember{{MemberID: "000000000000000a", Name: "node-0", Role: "Voter"}},
	}, nil
}

// node serves the API that nodes serve, over a store that replicates to nobody, and
// returns where.
func node(t *testing.T) string {
	t.Helper()
	state := config.NewState()
	alone := &lonely{state: state}
	store, err := config.NewStore(state, alone, config.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = store.Run(ctx) }) // it only ends with ctx
	handler, err := httpapi.New(httpapi.Options{Store: store, Cluster: alone})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		cancel()
		running.Wait()
	})
	return server.URL
}

// story is what the command lines of one story share.
type story struct {
	t   *testing.T
	url string
	env map[string]string
	// now is the clock, which moves by tick each time that it is read.
	now  time.Time
	tick time.Duration
}

// TestStories runs the command lines in testdata/stories against a real handler and
// compares what a person sees: standard output as it is, standard error behind "! ",
// and the exit status unless it is 0. -rewrite writes the files anew.
func TestStories(t *testing.T) {
	datadriven.Walk(t, filepath.Join("testdata", "stories"), func(t *testing.T, file string) {
		if full, err := filepath.Abs(file); err != nil {
			t.Fatal(err)
		} else {
			file = full
		}
		t.Chdir(t.TempDir())
		t.Setenv("TMPDIR", t.TempDir())
		s := &story{t: t, url: node(t), env: map[string]string{}}
		datadriven.RunTest(t, file, s.step)
	})
}

// step carries out one block of a story.
func (s *story) step(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "run": // a command line, and what it reads on the lines below
		line, in, _ := strings.Cut(d.Input, "\n")
		return s.run(line, in)
	case "file": // name=NAME: a file with this content
		var name string
		d.ScanArgs(t, "name", &name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(d.Input+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return ""
	case "files": // in=DIR: the files below a directory
		var dir string
		d.ScanArgs(t, "in", &dir)
		return files(t, dir)
	case "set": // NAME=VALUE: a variable of the environment
		for _, a := range d.CmdArgs {
			s.env[a.Key] = strings.Join(a.Vals, ",")
		}
		return ""
	case "clock": // the time between two looks at the clock
		var err error
		if s.tick, err = time.ParseDuration(strings.TrimSpace(d.Input)); err != nil {
			t.Fatal(err)
		}
		return ""
	}
	t.Fatalf("%s: unknown step %s", d.Pos, d.Cmd)
	return ""
}

// run runs one command line and returns what a person sees of it.
func (s *story) run(line, in string) string {
	if in != "" {
		in += "\n"
	}
	var out, err bytes.Buffer
	p := program{
		name: "conclave", in: strings.NewReader(in), out: &out, err: &err,
		env: func(name string) string {
			if name == "CONCLAVE_ENDPOINT" {
				return s.url
			}
			return s.env[name]
		},
		now: func() time.Time { s.now = s.now.Add(s.tick); return s.now },
	}
	args := words(line)
	if len(args) == 0 || args[0] != "conclave" {
		s.t.Fatalf("%q calls another program", line)
	}
	status := p.run(s.t.Context(), args[1:])
	text := out.String()
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "(no newline)\n"
	}
	for complaint := range strings.Lines(err.String()) {
		text += "! " + complaint
	}
	if status != exitOK {
		text += fmt.Sprintf("status %d\n", status)
	}
	text = scratch.ReplaceAllString(text, "SCRATCH")
	return strings.ReplaceAll(text, s.url, "ENDPOINT")
}

// scratch is a directory that the command line has made for a file to edit.
var scratch = regexp.MustCompile(`[^ ]*/conclave-edit-[0-9]+`)

// words splits a line as a shell does, with single quotes only.
func words(line string) (list []string) {
	quoted, begun := false, false
	var word strings.Builder
	for _, r := range line + " " {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				list = append(list, word.String())
				word.Reset()
			}
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	return list
}

// files shows the files below a directory, name by name.
func files(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		fmt.Fprintf(&text, "%s: %q\n", name, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}
