//go:build linux

package e2e

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// insideEnv is set in a test that runs in namespaces of its own.
const insideEnv = "CONCLAVE_E2E_INSIDE"

// insideOwnNetwork runs the calling test once more, in a network and a mount
// namespace of its own. See inside.
func insideOwnNetwork(t *testing.T) bool {
	t.Helper()
	return inside(t, "a network to cut", syscall.CLONE_NEWNET|syscall.CLONE_NEWNS,
		map[string]string{"ip": "iproute2", "nsenter": "util-linux", "mount": "mount"})
}

// insideOwnMounts runs the calling test once more, in a mount namespace of its
// own, with the altered nodes that it needs. See inside.
func insideOwnMounts(t *testing.T, programs map[string]string, altered ...*alteration) bool {
	t.Helper()
	return inside(t, "a file system to break", syscall.CLONE_NEWNS, programs, altered...)
}

// inside runs the calling test once more, as a process of its own in namespaces
// of its own, which end with it: whatever happens, no network and no mount of it
// stays on the machine. It returns true inside; outside it returns false when the
// other has ended, and the test is over. The test is skipped where that can't be:
// programs names what it needs, and the Debian package of each.
func inside(t *testing.T, what string, namespaces uintptr, programs map[string]string, altered ...*alteration) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		// What is mounted from here on is to be seen in here alone.
		run(t, "mount", "--make-rprivate", "/")
		return true
	}
	if os.Geteuid() != 0 {
		t.Skipf("making %s needs root", what)
	}
	for program, from := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("making %s needs %s (Debian: %s)", what, program, from)
		}
	}
	trial := exec.Command("true")
	trial.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if out, err := trial.CombinedOutput(); err != nil {
		t.Skipf("this machine gives root no namespaces: %v %s", err, out)
	}
	args := []string{"-test.run", "^" + t.Name() + "$", "-test.v", "-test.timeout", flag.Lookup("test.timeout").Value.String()}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") || f.Name == "test.short" {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	again := exec.Command(os.Args[0], args...)
	again.Env = append(os.Environ(), insideEnv+"=1", nodeEnv+"="+nodeBinary(t))
	for _, a := range altered {
		again.Env = append(again.Env, alteredEnv+"="+filepath.Dir(alteredNode(t, a)))
	}
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	out, err := again.CombinedOutput()
	t.Logf("in namespaces of its own:\n%s", out)
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(string(out), "--- SKIP: "+t.Name()) {
		t.Skip("as told above")
	}
	return false
}

// run runs a program that has to succeed.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v %s", name, strings.Join(args, " "), err, out)
	}
}
