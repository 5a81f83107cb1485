//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that has to happen. It is far above
// what a quiet machine needs: a test that runs into it has found a fault.
const patience = 60 * time.Second

// pollPause is the time between two looks at a condition.
const pollPause = 5 * time.Millisecond

// await waits until done returns nil, and fails the test with its last error when
// that doesn't happen.
func await(t testing.TB, what string, done func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pollPause) {
		if err = done(); err == nil {
			return
		}
	}
	t.Fatalf("%s: not within %v: %v", what, patience, err)
}

// A node is one place for a node process: name, directory and addresses stay
// while processes come and go.
type node struct {
	t    testing.TB
	name string
	// args are the flags of the next start.
	args []string
	// program, if not empty, is run in place of the node program as it is, and env
	// is added to its environment.
	program string
	env     []string
	// wrap, if not empty, is a program with arguments that becomes the node.
	wrap []string
	dir  string
	log  string
	// http, peer and ops are the addresses it listens at.
	http, peer, ops string

	mu      sync.Mutex
	running *process
}

// process is one run of a node.
type process struct {
	cmd *exec.Cmd
	// ended is closed when it has ended, err is set before.
	ended chan struct{}
	err   error
}

// start starts the node's process and returns at once.
func (n *node) start() {
	n.t.Helper()
	log, err := os.OpenFile(n.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	program := n.program
	if program == "" {
		program = nodeBinary(n.t)
	}
	line := append(append([]string{}, n.wrap...), program)
	line = append(line, n.args...)
	p := &process{cmd: exec.Command(line[0], line[1:]...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), n.env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// Should this test be killed, nothing of it stays behind.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running != nil {
		n.t.Fatalf("node %s runs already", n.name)
	}
	if err := p.cmd.Start(); err != nil {
		n.t.Fatalf("start node %s: %v", n.name, err)
	}
	n.running = p
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
}

// signal sends a signal to the running process.
func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil {
		n.t.Fatalf("node %s doesn't run", n.name)
	}
	if err := n.running.cmd.Process.Signal(s); err != nil {
		n.t.Fatalf("send %v to node %s: %v", s, n.name, err)
	}
}

// kill ends the process as a crash would, and returns when it is gone.
func (n *node) kill() {
	n.t.Helper()
	n.signal(syscall.SIGKILL)
	_ = n.wait() // It was killed, and says so.
}

// stop asks the process to end and fails the test unless it does so cleanly.
func (n *node) stop() {
	n.t.Helper()
	n.signal(syscall.SIGTERM)
	if err := n.wait(); err != nil {
		n.t.Errorf("node %s, told to stop: %v", n.name, err)
	}
}

// wait returns what the process ended with.
func (n *node) wait() error {
	n.t.Helper()
	p := n.process()
	if p == nil {
		return nil
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		n.t.Fatalf("node %s has not ended within %v", n.name, patience)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running = nil
	return p.err
}

func (n *node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running
}

// discard ends the process in whatever state it is; for cleaning up.
func (n *node) discard() {
	if p := n.process(); p != nil {
		_ = p.cmd.Process.Kill() // It may have ended by itself.
		<-p.ended
	}
}

// wipe empties the data directory, as a lost disk does.
func (n *node) wipe() {
	n.t.Helper()
	if err := os.RemoveAll(n.dir); err != nil {
		n.t.Fatal(err)
	}
}

// alive returns an error that says how the process ended, if it did.
func (n *node) alive() error {
	p := n.process()
	if p == nil {
		return fmt.Errorf("node %s doesn't run", n.name)
	}
	select {
	case <-p.ended:
		return fmt.Errorf("node %s ended by itself: %v\n%s", n.name, p.err, n.logTail())
	default:
		return nil
	}
}

// awaitReady waits until /readyz says yes.
func (n *node) awaitReady() {
	n.t.Helper()
	await(n.t, "node "+n.name+" gets ready", func() error {
		if err := n.alive(); err != nil {
			n.t.Fatal(err)
		}
		status, text := n.health("/readyz")
		if status != 200 {
			return errors.New(text)
		}
		return nil
	})
}

// logLinesShown is how much of each node's log a failing test shows.
const logLinesShown = 40

// logTail returns the end of the node's log.
func (n *node) logTail() string {
	text, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if crash := slices.IndexFunc(lines, crashes); crash >= 0 { // The goroutines that follow are many, and tell less.
		lines = lines[:min(len(lines), crash+logLinesShown/2)]
	}
	if more := len(lines) - logLinesShown; more > 0 {
		lines = append([]string{fmt.Sprintf("(%d lines before)", more)}, lines[more:]...)
	}
	return "--- log of node " + n.name + ", " + filepath.Base(n.log) + "\n" + strings.Join(lines, "\n")
}

// crashes tells whether a line begins what the runtime says of a process that
// crashes.
func crashes(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "unexpected fault address ")
}
