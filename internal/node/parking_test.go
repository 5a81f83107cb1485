package node

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/internal/admin"
	"github.com/conclave-dev/conclave/pkg/raft"
)

// fill writes enough small values through one node that every state is compared.
func (c *trio) fill(through int) {
	c.t.Helper()
	var writers errgroup.Group
	writers.SetLimit(16)
	for n := range hashInterval + 1 {
		writers.Go(func() error {
			url := fmt.Sprintf("http://%s/v1/kv/test/fill-%d", c.at(through, 0), n%50)
			code, body := 0, ""
			for range 100 {
				if code, body = ask(c.t, http.MethodPut, url, "x"); code == http.StatusOK || code == http.StatusCreated {
					return nil
				}
				time.Sleep(50 * time.Millisecond)
			}
			return fmt.Errorf("PUT at node %d: %d %s", through, code, body)
		})
	}
	if err := writers.Wait(); err != nil {
		c.t.Fatal(err)
	}
}

// aside moves the directory away in which a node keeps snapshots, so that it can take
// none in, and returns what puts it back.
func (c *trio) aside(i int) (back func()) {
	c.t.Helper()
	dir := filepath.Join(c.dir(i), "snapshots")
	if err := os.Rename(dir, dir+".away"); err != nil {
		c.t.Fatal(err)
	}
	return func() {
		if err := os.Rename(dir+".away", dir); err != nil {
			c.t.Fatal(err)
		}
	}
}

// localValue returns what a local read of a key answers.
func (c *trio) localValue(i int, key string) string {
	_, body := ask(c.t, http.MethodGet, fmt.Sprintf("http://%s/v1/kv/test/%s?consistency=local", c.at(i, 0), key), "")
	return body
}

// TestANodeWhoseStateDiffersServesNothingUntilItIsHealed lets one node of three apply
// something else than the log holds, first a follower and then a leader.
func TestANodeWhoseStateDiffersServesNothingUntilItIsHealed(t *testing.T) {
	for _, leads := range []bool{false, true} {
		t.Run(fmt.Sprintf("leader=%t", leads), func(t *testing.T) {
			c := newTrio(t)
			var tampers [3]atomic.Bool
			c.alter = func(i int, o *Options) {
				o.commandOf = func(e *raft.Entry) []byte {
					command := commandOf(e)
					if tampers[i].Load() {
						return bytes.ReplaceAll(command, []byte("right"), []byte("wrong"))
					}
					return command
				}
			}
			c.formed()
			bad := c.leader()
			if !leads {
				bad = (bad + 1) % 3
			}
			good := (bad + 1) % 3
			back := c.aside(bad)
			tampers[bad].Store(true)
			c.put(good, "key", "right")
			for c.localValue(bad, "key") != "wrong" {
				time.Sleep(10 * time.Millisecond)
			}
			tampers[bad].Store(false)
			c.fill(good)
			c.parked(bad, good)
			c.put(good, "other", "while parked")

			back()
			c.await(bad, 2, "/readyz", http.StatusOK, "")
			if got := c.localValue(bad, "key"); got != "right" {
				t.Errorf("healed, it answers %q", got)
			}
			if got := c.localValue(bad, "other"); got != "while parked" {
				t.Errorf("healed, it answers %q for what was written meanwhile", got)
			}
			c.put(bad, "key", "right again")
			c.sameStates()
			for i := range 3 {
				c.stop(i)
			}
		})
	}
}

// parked waits until a node is parked, and demands that it says so everywhere and serves
// nothing.
func (c *trio) parked(bad, good int) {
	c.t.Helper()
	const why = "its state differs from that of the majority"
	c.await(bad, 2, "/readyz", http.StatusServiceUnavailable, "parked: "+why)
	for _, level := range []string{"local", "linear", "session&min-revision=1", "bounded&max-staleness=60s"} {
		url := fmt.Sprintf("http://%s/v1/kv/test/key?consistency=%s", c.at(bad, 0), level)
		if code, body := ask(c.t, http.MethodGet, url, ""); code != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"parked"`) {
			c.t.Errorf("a %s read is answered: %d %s", level, code, body)
		}
	}
	code, body := ask(c.t, http.MethodPut, "http://"+c.at(bad, 0)+"/v1/kv/test/key", "x")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"parked"`) || !strings.Contains(body, `"outcome":"rejected"`) {
		c.t.Errorf("a write is answered: %d %s", code, body)
	}
	status := c.awaitStatus(bad, "is parked and follows another", func(s *admin.Status) bool {
		return s.Parked == why && s.Role == raft.Follower.String() && s.Leader != ""
	})
	if status.Ready || status.DisagreementIndex == 0 {
		c.t.Errorf("its status is %+v", status)
	}
	if _, body := ask(c.t, http.MethodGet, "http://"+c.at(bad, 2)+"/metrics", ""); !strings.Contains(body, "\nconclave_raft_parked 1\n") {
		c.t.Error("the metrics don't tell that it is parked")
	}
	leader := int(status.Leader[1] - '0')
	c.awaitStatus(leader, "tells that a member is parked", func(s *admin.Status) bool {
		for _, m := range s.Members {
			if m.Name == fmt.Sprint("n", bad) {
				return m.Parked
			}
		}
		return false
	})
	c.await(good, 2, "/readyz", http.StatusOK, "")
}

// sameStates waits until all nodes have the same hash at the same index.
func (c *trio) sameStates() {
	c.t.Helper()
	for range 200 {
		var last [3]admin.StateHash
		for i := range last {
			hashes := c.status(i).StateHashes
			last[i] = hashes[len(hashes)-1]
		}
		if last[0] == last[1] && last[1] == last[2] {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatal("the nodes don't come to the same state")
}
