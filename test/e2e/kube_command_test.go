package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// commandTimeout bounds every command, waiting ones included.
const commandTimeout = 2 * time.Minute

// storyPause is the pause between two looks at the cluster.
const storyPause = 50 * time.Millisecond

// try runs a command and returns its standard output. Its standard error is part
// of the error.
func (*story) try(ctx context.Context, stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Stdin = strings.NewReader(stdin)
	command.WaitDelay = time.Second // for what a killed command has left behind
	output, err := command.Output()
	if err != nil {
		text := ""
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			text = ": " + strings.TrimSpace(string(exit.Stderr))
		}
		err = fmt.Errorf("%s %s: %w%s", name, strings.Join(args, " "), err, text)
	}
	return string(output), err
}

// run is try for a command that has to succeed.
func (s *story) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	output, err := s.try(t.Context(), "", name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// kubectl runs kubectl in the namespace of the story.
func (s *story) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return s.run(t, "kubectl", append([]string{"--namespace", storyNamespace}, args...)...)
}

// apply applies a manifest as a user does, and returns what kubectl says about
// it.
func (s *story) apply(t *testing.T, manifest string) error {
	t.Helper()
	_, err := s.try(t.Context(), manifest, "kubectl", "--namespace", storyNamespace, "apply", "--filename", "-")
	return err
}

// await looks again and again until look reports success, and fails with the
// last thing that it saw otherwise.
func (*story) await(t *testing.T, what string, within time.Duration, look func(context.Context) (done bool, seen any)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var last any = "nothing"
	for {
		done, seen := look(ctx)
		if done {
			return
		}
		if ctx.Err() == nil {
			last = seen // a look that was cut short saw only that
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v for %s; last seen: %v", within, what, last)
		case <-time.After(storyPause):
		}
	}
}
