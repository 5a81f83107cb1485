package sim_test

import (
	"flag"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/test/sim"
)

var (
	seeds   = flag.Uint64("seeds", 0, "how many seeds TestSeeds plays")
	first   = flag.Uint64("first", 1, "the first of them")
	one     = flag.Uint64("seed", 0, "play only this seed")
	tracing = flag.Bool("trace", false, "with -seed: tell every event")
	stop    = flag.Bool("stop-at-first-failure", false, "begin no seed after one has failed")
	workers = flag.Int("workers", runtime.GOMAXPROCS(0), "how many seeds are played at a time")
)

// tally sums up runs.
type tally struct {
	counts  sim.Counts
	virtual time.Duration
	// slowest is the longest recovery in election timeouts.
	slowest float64
	played  int
	failed  []sim.Report
}

// play plays seeds, several at a time, and returns their sum.
func play(seeds func(i int) (uint64, bool), stop bool) tally {
	// A run makes much garbage and holds little: collecting it less often pays.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	var sum tally
	var next atomic.Int64
	var failed atomic.Bool
	reports := make(chan sim.Report)
	var players errgroup.Group
	for range *workers {
		players.Go(func() error {
			for !stop || !failed.Load() {
				seed, ok := seeds(int(next.Add(1)) - 1)
				if !ok {
					break
				}
				report := sim.Run(seed, nil)
				if report.Failure != "" {
					failed.Store(true)
				}
				reports <- report
			}
			return nil
		})
	}
	go func() {
		_ = players.Wait()
		close(reports)
	}()
	for report := range reports {
		sum.played++
		sum.virtual += report.Virtual
		sum.slowest = max(sum.slowest, report.Recovery)
		sum.counts.Add(&report.Counts)
		if report.Failure != "" {
			sum.failed = append(sum.failed, report)
		}
	}
	return sum
}

// TestSeeds plays the seeds that the flags name. make sim runs it.
func TestSeeds(t *testing.T) {
	if *one != 0 {
		var writer io.Writer
		if *tracing {
			writer = os.Stdout
		}
		report := sim.Run(*one, writer)
		if report.Failure != "" {
			t.Fatalf("FAILED seed=%d: %s", *one, report.Failure)
		}
		t.Logf("seed %d: %v by its own clock, hash %016x; %v", *one, report.Virtual, report.Hash, &report.Counts)
		return
	}
	if *seeds == 0 {
		t.Skip("no seeds were asked for: -seeds N; make check plays the corpus")
	}
	began := time.Now()
	sum := play(func(i int) (uint64, bool) { return *first + uint64(i), uint64(i) < *seeds }, *stop)
	took := time.Since(began)
	t.Logf("%d seeds in %v: %.1f a second; %.1f simulated hours; at rest after %.1f election timeouts at most", sum.played, took.Round(time.Millisecond),
		float64(sum.played)/took.Seconds(), sum.virtual.Hours(), sum.slowest)
	t.Log(sum.counts.String())
	fail(t, sum)
}

// maxShown bounds the failures that are told in full.
const maxShown = 3

// fail reports the failures.
func fail(t *testing.T, sum tally) {
	t.Helper()
	for i, report := range sum.failed {
		if i < maxShown {
			t.Errorf("FAILED seed=%d: %s\nreplay: go test ./test/sim -run TestSeeds -seed %d -trace", report.Seed, report.Failure, report.Seed)
		} else {
			t.Errorf("FAILED seed=%d", report.Seed)
		}
	}
	if len(sum.failed) > 0 {
		t.Logf("%d of %d seeds failed", len(sum.failed), sum.played)
	}
}
