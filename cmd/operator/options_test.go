package main

import (
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestOptionsComeFromFlagsAndEnvironment(t *testing.T) {
	getenv := func(name string) string {
		if name != envNodeImage {
			t.Errorf("reads the environment variable %s", name)
		}
		return "example.test/conclave:1"
	}
	o, err := parseOptions([]string{"--watch-namespaces", " a, b,,a", "--log-level=debug"}, getenv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.nodeImage != "example.test/conclave:1" || !slices.Equal(o.namespaces, []string{"a", "b"}) || o.logLevel != slog.LevelDebug || !o.leaderElection {
		t.Errorf("got %+v", o)
	}
	o, err = parseOptions([]string{"--node-image=other:2"}, getenv, io.Discard)
	if err != nil || o.nodeImage != "other:2" || len(o.namespaces) != 0 {
		t.Errorf("a flag doesn't win over the environment: %+v, %v", o, err)
	}
	o, err = parseOptions([]string{"--own-namespace=ops", "--own-labels=a=b,c/d=e"}, getenv, io.Discard)
	if err != nil || o.ownNamespace != "ops" || !maps.Equal(o.ownLabels, map[string]string{"a": "b", "c/d": "e"}) {
		t.Errorf("the operator's own place is %+v, %v", o, err)
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	for want, args := range map[string][]string{
		"--node-image":       {"--node-image="},
		`"Not_A_Name"`:       {"--watch-namespaces=Not_A_Name"},
		"--concurrency 0":    {"--concurrency=0"},
		`--log-format "xml"`: {"--log-format=xml"},
		`argument "stray"`:   {"stray"},
		"not defined: -nope": {"--nope"},
		"one is missing":     {"--own-namespace=ops"},
		"belong together":    {"--own-labels=a=b"},
		`--own-labels "a"`:   {"--own-namespace=ops", "--own-labels=a"},
		`"Not A Name"`:       {"--own-namespace=Not A Name", "--own-labels=a=b"},
	} {
		_, err := parseOptions(args, func(string) string { return "image" }, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want it to mention %s", args, err, want)
		}
	}
}
