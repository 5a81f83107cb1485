//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var manyKeys = flag.Int("many-keys", 10_000, "keys of TestANodeOfManyKeysServesAndRestarts; a million takes some minutes")

// manyValueBytes is the size of their values.
const manyValueBytes = 100

// patientNode takes no snapshot because of what its log takes, so that it can be
// restarted on its log alone.
var patientNode = &alteration{name: "node-patient", edits: []edit{
	{dir: "pkg/raft/replica", function: "withDefaults", line: "o.SnapshotBytes = 64 << 20", instead: "o.SnapshotBytes = 1 << 50"},
}}

// TestANodeOfManyKeysServesAndRestarts fills a node in transactions, restarts it on
// its log, reads and writes while its snapshot is written, restarts it on that,
// and then wants all keys. It logs times and memory; with -many-keys=1000000 -v it is
// a measurement.
func TestANodeOfManyKeysServesAndRestarts(t *testing.T) {
	if testing.Short() {
		t.Skip("builds an altered node; runs without -short")
	}
	m := &many{t: t, cluster: newCluster(t, 1, append(tokenFile(t), "--snapshot-entries", "10000000")...), keys: *manyKeys}
	m.node = m.cluster.nodes[0]
	m.node.program = alteredNode(t, patientNode)
	m.cluster.start()
	m.cluster.awaitReady()
	m.put("/v1/settings", `{"quotaBytes":1073741824}`)
	began := time.Now()
	m.fill()
	m.note("filled in transactions of %d within %v; %s", manyTxn, time.Since(began).Round(time.Millisecond), m.memory())
	m.note("quiet: %s", m.traffic(func() { time.Sleep(3 * time.Second) }))
	m.restart("its log alone")

	var took time.Duration
	m.note("while snapshots are written: %s", m.traffic(func() {
		for began := time.Now(); time.Since(began) < 3*time.Second; {
			m.write(0) // A snapshot is taken of what is new.
			started := time.Now()
			if _, err := m.node.admin().Snapshot(context.Background()); err != nil {
				t.Error(err)
				return
			}
			took = time.Since(started)
		}
	}))
	verified, err := m.node.admin().Verify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	m.note("a snapshot of %d bytes took %v; %s", verified.SnapshotBytes, took.Round(time.Millisecond), m.memory())
	m.restart("its snapshot")
	m.list()
}

// many is a node of many keys.
type many struct {
	t       *testing.T
	cluster *cluster
	node    *node
	keys    int
}

// manyTxn is how many keys a transaction puts.
const manyTxn = 128

func manyKey(i int) string { return fmt.Sprintf("service-%03d/key-%06d", i%1000, i) }

// note logs what was found.
func (m *many) note(format string, args ...any) {
	m.t.Helper()
	m.t.Logf("EVIDENCE %d keys: %s", m.keys, fmt.Sprintf(format, args...))
}

// put puts JSON to a path.
func (m *many) put(path, body string) {
	m.t.Helper()
	sent, err := http.NewRequest(http.MethodPut, "http://"+m.node.http+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	sent.Header.Set("Content-Type", "application/json")
	reply, err := m.cluster.http.Do(sent)
	if err != nil {
		m.t.Fatal(err)
	}
	reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		m.t.Fatalf("PUT %s: status %d", path, reply.StatusCode)
	}
}

// fill puts all keys, by some clients at a time.
func (m *many) fill() {
	m.t.Helper()
	var clients sync.WaitGroup
	next := make(chan int)
	for range 8 {
		clients.Go(func() {
			for first := range next {
				if a := m.cluster.do(m.node, request{method: http.MethodPost, txn: true, value: m.txn(first), timeout: patience}); a.status != http.StatusOK {
					m.t.Errorf("the transaction of key %d: %v", first, a)
				}
			}
		})
	}
	for first := 0; first < m.keys; first += manyTxn {
		next <- first
	}
	close(next)
	clients.Wait()
	if m.t.Failed() {
		m.t.FailNow()
	}
}

// txn is the body of a transaction that puts keys from one on.
func (m *many) txn(first int) string {
	type operation struct {
		Op   string `json:"op"`
		Key  string `json:"key"`
		Text string `json:"text"`
	}
	var then []operation
	for i := first; i < min(first+manyTxn, m.keys); i++ {
		then = append(then, operation{"put", manyKey(i), strings.Repeat("v", manyValueBytes)})
	}
	body, err := json.Marshal(map[string]any{"namespace": namespace, "then": then})
	if err != nil {
		m.t.Fatal(err)
	}
	return string(body)
}

// memory tells what the node's process takes now and took at most, and what of
// it is live on the heap.
func (m *many) memory() string {
	m.t.Helper()
	if status, _ := m.node.health("/debug/pprof/heap?gc=1"); status != http.StatusOK { // Garbage doesn't count.
		m.t.Fatalf("a profile of the heap: status %d", status)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.node.process().cmd.Process.Pid))
	if err != nil {
		m.t.Fatal(err)
	}
	found := []string{fmt.Sprintf("heap %d MiB", int64(m.node.metric(m.t, "go_memstats_heap_alloc_bytes"))>>20)}
	for line := range strings.Lines(string(status)) {
		if name, value, _ := strings.Cut(line, ":"); name == "VmRSS" || name == "VmHWM" {
			found = append(found, name+" "+strings.TrimSpace(value))
		}
	}
	return strings.Join(found, ", ")
}

// write puts a key, and read gets one.
func (m *many) write(i int) answer {
	return m.cluster.do(m.node, request{method: http.MethodPut, key: manyKey(i), value: strings.Repeat("w", manyValueBytes)})
}

func (m *many) read(i int) answer {
	return m.cluster.do(m.node, request{method: http.MethodGet, key: manyKey(i)})
}

// traffic reads and writes, by one client each, for as long as during takes, and
// tells how long that took.
func (m *many) traffic(during func()) string {
	m.t.Helper()
	done := make(chan struct{})
	var clients sync.WaitGroup
	report := make([]string, 2)
	for i, one := range []struct {
		name string
		do   func(int) answer
	}{{"put", m.write}, {"get", m.read}} {
		clients.Go(func() {
			var took []time.Duration
			for open := true; open; {
				began := time.Now()
				if a := one.do(rand.N(m.keys)); a.status != http.StatusOK {
					m.t.Errorf("%s: %v", one.name, a)
				}
				took = append(took, time.Since(began))
				select {
				case <-done:
					open = false
				default:
				}
			}
			slices.Sort(took)
			report[i] = fmt.Sprintf("%d %ss, median %v, 99th percentile %v, longest %v", len(took), one.name,
				took[len(took)/2].Round(time.Microsecond), took[len(took)*99/100].Round(10*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond))
		})
	}
	during()
	close(done)
	clients.Wait()
	return strings.Join(report, "; ")
}

// restart kills the node and starts it again.
func (m *many) restart(on string) {
	m.t.Helper()
	m.node.kill()
	began := time.Now()
	m.node.start()
	m.node.awaitReady()
	m.note("restarted on %s, ready after %v; %s", on, time.Since(began).Round(time.Millisecond), m.memory())
}

// list reads all keys as a stream, and wants each once and in order.
func (m *many) list() {
	m.t.Helper()
	sent, err := http.NewRequest(http.MethodGet, "http://"+m.node.http+"/v1/keys/"+namespace, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	sent.Header.Set("Accept", "application/x-ndjson")
	began := time.Now()
	reply, err := m.cluster.http.Do(sent)
	if err != nil {
		m.t.Fatal(err)
	}
	defer reply.Body.Close()
	found, last := 0, ""
	for lines := bufio.NewScanner(reply.Body); lines.Scan(); {
		var line struct {
			Key string `json:"key"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			m.t.Fatalf("%q: %v", lines.Text(), err)
		}
		if line.Key == "" {
			continue
		}
		if line.Key <= last {
			m.t.Fatalf("key %q follows %q", line.Key, last)
		}
		last = line.Key
		found++
	}
	if found != m.keys {
		m.t.Fatalf("%d keys are listed, want %d", found, m.keys)
	}
	m.note("listed within %v", time.Since(began).Round(time.Millisecond))
}
