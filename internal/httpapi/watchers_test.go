package httpapi_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/pkg/config"
)

var (
	watchersFlag = flag.Int("watchers", 200, "how many watches TestManyWatchesOfOnePrefix opens")
	writesFlag   = flag.Int("watched-writes", 20, "how many writes they see")
	slowFlag     = flag.Int("watched-slowly", 20, "one watch in how many is read slowly; 0 for none")
	pauseFlag    = flag.Duration("watched-pause", 10*time.Millisecond, "the time between two writes")
)

// watchersReport is what the clients of many watches saw.
type watchersReport struct {
	Fast, Slow              int
	Events                  int
	P50Micros, P99Micros    int64
	MaxMicros, SlowMaxMicro int64
}

// TestManyWatchesOfOnePrefix lets many clients in another process see some writes,
// one client in -watched-slowly of them too slowly for the pace, and each must get every
// revision once and in order. It logs how long that took and what memory a watch
// takes here; with -watchers=10000 -watched-pause=100ms -watched-writes=100 -v it
// is a measurement.
func TestManyWatchesOfOnePrefix(t *testing.T) {
	a := newAPI(t, func(_ *config.StoreOptions, o *httpapi.Options) { o.WatchWriteTimeout = time.Minute })
	base := a.serve()
	before := memoryInUse()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestClientsOfManyWatches$", "-test.count=1")
	child.Env = append(os.Environ(), "WATCHERS="+fmt.Sprint(*watchersFlag), "WRITES="+fmt.Sprint(*writesFlag), "PAUSE="+pauseFlag.String(), "SLOW="+fmt.Sprint(*slowFlag), "ADDRESS="+strings.TrimPrefix(base, "http://"))
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the clients say %q", lines.Text())
	}
	idle := memoryInUse() - before
	var active uint64
	began, used := time.Now(), cpuTime(t)
	for i := range *writesFlag {
		a.put("db/url", fmt.Sprintf("%d %s", time.Now().UnixNano(), strings.Repeat("v", 1000)))
		time.Sleep(*pauseFlag)
		if i == *writesFlag/2 {
			active = memoryInUse() - before
		}
	}
	writing, used := time.Since(began), cpuTime(t)-used
	var report watchersReport
	if !lines.Scan() {
		t.Fatal("the clients say nothing")
	}
	if err := json.Unmarshal(lines.Bytes(), &report); err != nil {
		t.Fatalf("the clients say %q", lines.Text())
	}
	for lines.Scan() && lines.Text() != "PASS" {
		t.Errorf("the clients say %s", lines.Text())
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := *watchersFlag * *writesFlag; report.Events != want {
		t.Errorf("%d events came, want %d", report.Events, want)
	}
	n := uint64(*watchersFlag)
	t.Logf("%d watches (%d of them slow), %d writes in %v: delivered to the fast after %v (p50), %v (p99), %v (most), to the slow %v (most)",
		n, report.Slow, *writesFlag, writing.Round(time.Millisecond), micros(report.P50Micros), micros(report.P99Micros), micros(report.MaxMicros), micros(report.SlowMaxMicro))
	t.Logf("memory a watch: %d bytes idle, %d active; %v of CPU time for %d events; %d encodings made", idle/n, active/n, used.Round(time.Millisecond), report.Events, a.handler.EncodingsMade())
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// memoryInUse is what the heap and the stacks take.
func memoryInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// cpuTime is what this process has used, where the system tells it.
func cpuTime(t *testing.T) time.Duration {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Log("the CPU time isn't known here:", err)
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // in ticks of 1/100 s
}

// TestClientsOfManyWatches is the other process of TestManyWatchesOfOnePrefix.
func TestClientsOfManyWatches(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("WATCHERS"))
	if err != nil {
		t.Skip("this is a part of TestManyWatchesOfOnePrefix")
	}
	writes, _ := strconv.Atoi(os.Getenv("WRITES"))
	pause, _ := time.ParseDuration(os.Getenv("PAUSE"))
	slow, _ := strconv.Atoi(os.Getenv("SLOW"))
	clients := make([]*watcher, n)
	var connecting sync.WaitGroup
	places := make(chan struct{}, 64)
	for i := range clients {
		places <- struct{}{}
		connecting.Go(func() {
			clients[i] = connectWatcher(t, os.Getenv("ADDRESS"), slow > 0 && i%slow == 0)
			<-places
		})
	}
	connecting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	fmt.Println("ready")
	var reading sync.WaitGroup
	for _, c := range clients {
		reading.Go(func() { c.read(t, writes, 2*pause) })
	}
	reading.Wait()
	var report watchersReport
	var delays []int64
	for _, c := range clients {
		report.Events += len(c.delays)
		if c.slow {
			report.Slow++
			report.SlowMaxMicro = max(report.SlowMaxMicro, slices.Max(c.delays))
		} else {
			report.Fast++
			delays = append(delays, c.delays...)
		}
	}
	slices.Sort(delays)
	report.P50Micros, report.P99Micros, report.MaxMicros = delays[len(delays)/2], delays[len(delays)*99/100], delays[len(delays)-1]
	out, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(out))
}

// watcher is one client of many.
type watcher struct {
	reader *bufio.Reader
	slow   bool
	// delays are the times from each write to its arrival, in microseconds.
	delays []int64
}

// connectWatcher opens a watch and waits for its first bookmark.
func connectWatcher(t *testing.T, address string, slow bool) *watcher {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return nil
	}
	if slow {
		// So that it isn't the system's buffers that keep up.
		if err := connection.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Error(err)
		}
	}
	if _, err := fmt.Fprint(connection, "GET /v1/watch/pay?prefix=db/ HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Error(err)
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(connection, 2<<10), nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { connection.Close(); response.Body.Close() }) // in this order, or it would be read to its end
	w := &watcher{reader: bufio.NewReaderSize(response.Body, 2<<10), slow: slow}
	w.find(t, "data: {")
	return w
}

// find reads on to a line that begins with some text and returns the rest of it.
func (w *watcher) find(t *testing.T, beginning string) string {
	for {
		line, err := w.reader.ReadString('\n')
		if err != nil {
			t.Errorf("the stream ended: %v", err)
			return ""
		}
		if rest, ok := strings.CutPrefix(line, beginning); ok {
			return strings.TrimSpace(rest)
		}
	}
}

// read reads the changes of all writes; a slow one rests after each.
func (w *watcher) read(t *testing.T, writes int, slowness time.Duration) {
	for next := 1; next <= writes && !t.Failed(); next++ {
		if id := w.find(t, "id: "); id != fmt.Sprint(next) {
			// A bookmark has the id of what came before it.
			if id != fmt.Sprint(next-1) {
				t.Errorf("revision %s came, want %d", id, next)
				return
			}
			next--
			continue
		}
		data := w.find(t, "data: [")
		_, text, _ := strings.Cut(data, `"text":"`)
		at, _, _ := strings.Cut(text, " ")
		written, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Errorf("revision %d has the changes %.200q: %v", next, data, err)
			return
		}
		w.delays = append(w.delays, (time.Now().UnixNano()-written)/1000)
		if w.slow {
			time.Sleep(slowness)
		}
	}
}
