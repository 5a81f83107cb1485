package sim_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/conclave-dev/conclave/test/sim"
)

// pastBugs are seeds that once failed, each because of a mistake that is mended.
// They are played first.
var pastBugs = []uint64{}

// corpusSeeds is how many seeds from 1 on are played besides.
const corpusSeeds = 150

// TestCorpusKeepsEveryPromise plays a fixed list of seeds, and demands that all
// that can happen in a run did happen in one of them: what never happens is not
// tested.
func TestCorpusKeepsEveryPromise(t *testing.T) {
	sum := play(func(i int) (uint64, bool) {
		if i < len(pastBugs) {
			return pastBugs[i], true
		}
		seed := uint64(i-len(pastBugs)) + 1
		return seed, seed <= corpusSeeds
	}, false)
	t.Logf("%d seeds, %.1f simulated hours: %v", sum.played, sum.virtual.Hours(), &sum.counts)
	fail(t, sum)
	for i, n := range sum.counts {
		if n == 0 {
			t.Errorf("in no run of the corpus were there any %v", sim.Counter(i))
		}
	}
}

// TestOneSeedIsOneRun plays seeds twice and compares every event, in words too.
func TestOneSeedIsOneRun(t *testing.T) {
	told := map[string]uint64{}
	for seed := uint64(1); seed <= 10; seed++ {
		var words [2]string
		var reports [2]sim.Report
		for i := range words {
			hash := sha256.New()
			reports[i] = sim.Run(seed, hash)
			words[i] = fmt.Sprintf("%x", hash.Sum(nil))
		}
		if words[0] != words[1] || reports[0] != reports[1] {
			t.Errorf("seed %d gave two runs: %s %016x and %s %016x", seed, words[0], reports[0].Hash, words[1], reports[1].Hash)
		}
		if other, same := told[words[0]]; same {
			t.Errorf("seeds %d and %d gave the same run", seed, other)
		}
		told[words[0]] = seed
	}
}
