package config_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/config"
)

// inEnv renders one key as a variable, empty when that is refused.
func inEnv(t *testing.T, key, value string) string {
	t.Helper()
	line, err := config.Render(entries("p/"+key, "text/plain", value), "p/", config.RenderEnv)
	if err != nil && !errors.Is(err, config.ErrRender) {
		t.Fatal(err)
	}
	return string(line)
}

func TestNoKeyBecomesAVariableThatShellsActOn(t *testing.T) {
	for _, key := range []string{
		"path", "PATH", "ifs", "env", "bash/env", "ps4", "PS1", "prompt-command", "bash_func_ls%%", "BASH.FUNC/ls()", "shellopts", "bashopts", "uid", "euid", "ppid",
		"bash/versinfo/x", "ld/preload", "ld.library.path", "dyld/insert-libraries", "cdpath", "globignore", "optind", "tmout", "posixly-correct", "random", "-", "é",
	} {
		if line := inEnv(t, key, "v"); line != "" {
			t.Errorf("the key %q is rendered as %q", key, line)
		}
	}
	for _, key := range []string{"db/url", "home", "user", "host", "hostname", "shell", "lang", "lc/all", "tz", "term", "bashful", "paths", "ps", "ps5", "ids/uid", "x-", "java/opts"} {
		if inEnv(t, key, "v") == "" {
			t.Errorf("the key %q can't be rendered", key)
		}
	}
}

// TestWhatAShellSetsItselfIsRefusedOrReadBack takes the names of all variables that
// a shell has at its start: each is refused, or evaluates to what was stored.
func TestWhatAShellSetsItselfIsRefusedOrReadBack(t *testing.T) {
	for shell, list := range map[string]string{"bash": "compgen -v", "dash": "set | sed 's/=.*//'", "sh": "set | sed 's/=.*//'"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // every system has sh
		}
		run := func(script string) (string, error) {
			command := exec.Command(path, "-c", script)
			command.Env = []string{"PATH=/usr/bin:/bin"}
			out, err := command.Output()
			return string(out), err
		}
		names, err := run(list)
		if err != nil || !strings.Contains(names, "PATH\n") {
			t.Fatalf("%s: %v, %q", shell, err, names)
		}
		refused := 0
		for name := range strings.Lines(names) {
			name = strings.TrimSpace(name)
			line := inEnv(t, name, "a value of mine")
			if line == "" {
				refused++
				continue
			}
			got, err := run("set -eu\n" + line + "printf %s \"$" + name + "\"\n")
			if err != nil || got != "a value of mine" {
				t.Errorf("%s: %s is rendered and reads as %q, %v", shell, name, got, err)
			}
		}
		if refused == 0 {
			t.Errorf("%s: nothing is refused of %q", shell, names)
		}
		t.Log(fmt.Sprint(shell, ": ", refused, " of ", strings.Count(names, "\n"), " refused"))
	}
}
