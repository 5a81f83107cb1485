//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	flips    = flag.Int("flips", 0, "how many files TestDamagedFilesLoseNothing damages (default one of each kind)")
	flipSeed = flag.Uint64("flip-seed", 0, "where in the files it does so (default random; it tells)")
)

// TestDamagedFilesLoseNothing damages files of a killed member, one bit or all
// behind a place, where that matters most: the member is one of two that know of
// the last writes, and the other of the two is down. If it came back without
// knowing what it has lost, the third would make a majority with it.
func TestDamagedFilesLoseNothing(t *testing.T) {
	if testing.Short() && *flips == 0 {
		t.Skip("damages a file of each kind; runs without -short, or with -flips")
	}
	seed := *flipSeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-flip-seed %d", seed)
	c := newCluster(t, 3, "--snapshot-entries", "100")
	c.start()
	c.awaitReady()
	d := &damager{
		t: t, cluster: c, load: startLoad(t, c, requestTimeout), dice: rand.New(rand.NewPCG(seed, 0)), outcomes: map[string]map[string]int{},
	}
	rounds := *flips
	for round := 0; round < rounds || rounds == 0 && d.left != 0 || round == 0; round++ {
		d.round(round)
	}
	d.load.use(c.nodes)
	d.load.awaitWrites(20)
	d.load.finish(t)
	damaged := 0
	for _, kind := range slices.Sorted(maps.Keys(d.outcomes)) {
		for outcome, count := range d.outcomes[kind] {
			damaged += count
			t.Logf("EVIDENCE damaged files, %-24s %-38s %d", kind+":", outcome, count)
		}
	}
	t.Logf("EVIDENCE damaged files: %d files, seed %d, 0 of %d counted writes lost; %s", damaged, seed, d.counted, d.load.record.figures())
}

// A damager damages files, and sees what comes of it.
type damager struct {
	t       *testing.T
	cluster *cluster
	load    *load
	dice    *rand.Rand
	// outcomes counts by kind of file and by what the member did.
	outcomes map[string]map[string]int
	// left is how many kinds of files have not been damaged yet; counted is how
	// many writes were looked for.
	left, counted int
}

// The outcomes of a damage.
const (
	outcomeUnharmed = "nothing was lost"
	outcomeFaulty   = "faulty until it had it back"
	outcomeEnded    = "refused to start"
)

// shares are how much oftener than others some kinds of files are damaged when it
// is done many times: those in which it matters most where.
var shares = map[string]int{"log/N.mem": 6, "log/N.sst": 6, "watermark": 3, "snapshots/N-N.snap": 3}

// setAside is a part of the names of directories that a member has given up.
const setAside = ".damaged-"

// round damages one file of one member.
func (d *damager) round(round int) {
	d.t.Helper()
	c, l := d.cluster, d.load
	order := d.dice.Perm(len(c.nodes))
	victim, witness, third := c.nodes[order[0]], c.nodes[order[1]], c.nodes[order[2]]
	if round%2 == 0 { // A clean stop turns what is in Badger's write-ahead log into tables.
		victim.stop()
		victim.start()
		victim.awaitReady()
	}
	l.era.Add(1)
	l.use([]*node{victim, witness})
	third.kill()
	book := startLedger(l)
	l.awaitWrites(120) // enough for a snapshot
	victim.kill()
	witness.kill()
	book.end()
	killed := l.record.now()

	copied := victim.dir + ".copy"
	run(d.t, "cp", "-a", "--sparse=always", victim.dir, copied)
	file, what := d.damage(victim, round)
	said := victim.logSize()
	third.start()
	victim.start()
	outcome := d.watch(victim, third, said)
	if outcome == outcomeUnharmed {
		d.loses(book, victim, killed, what)
	} else {
		d.electsNobody(book, victim, third, killed, what)
	}
	if outcome == outcomeFaulty && victim.metric(d.t, "conclave_raft_faulty") != 1 {
		d.t.Errorf("%s: the member says in its log that it is faulty, and not in its metrics", what)
	}
	if outcome == outcomeEnded {
		d.explains(victim, file, said, what)
		_ = victim.wait() // It has ended, with an error.
		// Nothing happened to the disk but the damage: mended, it is as before.
		victim.wipe()
		if err := os.Rename(copied, victim.dir); err != nil {
			d.t.Fatal(err)
		}
		victim.start()
	} else if err := os.RemoveAll(copied); err != nil {
		d.t.Fatal(err)
	}
	witness.start()
	c.awaitReady()
	await(d.t, "node "+victim.name+" is whole again", func() error {
		if victim.metric(d.t, "conclave_raft_faulty") != 0 {
			return errors.New("it is faulty")
		}
		return nil
	})
	d.loses(book, victim, killed, what)
	kind := kindOf(victim, file)
	if d.outcomes[kind] == nil {
		d.outcomes[kind] = map[string]int{}
	}
	d.outcomes[kind][outcome]++
	d.t.Logf("%s: %s", what, outcome)
}

// watch waits until the damaged member shows what it makes of its disk.
func (d *damager) watch(victim, third *node, said int64) (outcome string) {
	d.t.Helper()
	await(d.t, "node "+victim.name+" makes something of its damaged disk", func() error {
		ended := victim.alive() != nil
		_, err := d.cluster.leaderOf([]*node{victim, third})
		switch {
		case ended:
			outcome = outcomeEnded
		case strings.Contains(victim.saidSince(said), "faulty"):
			outcome = outcomeFaulty
		case err == nil:
			outcome = outcomeUnharmed
		default:
			return err
		}
		return nil
	})
	return outcome
}

// electsNobody expects the damaged member and the third, which has not seen the
// last writes, to stay without a leader; but if they find one, it has them all.
func (d *damager) electsNobody(book *ledger, victim, third *node, killed time.Duration, what string) {
	d.t.Helper()
	for end := time.Now().Add(manyElections); time.Now().Before(end); time.Sleep(pollPause) {
		if _, err := d.cluster.leaderOf([]*node{victim, third}); err == nil {
			d.loses(book, third, killed, what)
			return
		}
	}
}

// loses fails the test if a write is lost.
func (d *damager) loses(book *ledger, n *node, killed time.Duration, what string) {
	d.t.Helper()
	lost, counted := book.lost(d.t, n, killed)
	d.counted += counted
	if lost > 0 {
		d.t.Fatalf("%s: %d of %d acknowledged writes are lost", what, lost, counted)
	}
}

// explains expects a member that ended to have said what is wrong.
func (d *damager) explains(n *node, file string, said int64, what string) {
	d.t.Helper()
	text := n.saidSince(said)
	if !strings.Contains(text, "damaged") && !strings.Contains(text, filepath.Base(file)) {
		d.t.Errorf("%s: the member ended and says neither that something is damaged nor which file it is:\n%s", what, text)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	d.t.Logf("it says: %s", lines[len(lines)-1])
}

// damage damages a file of a kind that was damaged least, and tells which and how.
func (d *damager) damage(n *node, round int) (file, what string) {
	d.t.Helper()
	byKind := filesByKind(d.t, n)
	kinds := slices.Sorted(maps.Keys(byKind))
	times := func(kind string) (sum int) {
		for _, count := range d.outcomes[kind] {
			sum += count
		}
		if *flips == 0 {
			return sum
		}
		return sum / max(1, shares[kind])
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return times(a) - times(b) })
	d.left = 0
	for _, kind := range kinds[1:] {
		if times(kind) == 0 {
			d.left++
		}
	}
	files := byKind[kinds[0]]
	file = files[d.dice.IntN(len(files))]
	data, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	used := len(bytes.TrimRight(data, "\x00"))
	at := d.dice.IntN(used)
	for data[at] == 0 && d.dice.IntN(8) != 0 { // Few zeros tell anything.
		at = d.dice.IntN(used)
	}
	what = fmt.Sprintf("round %d, node %s, %s of %d bytes", round, n.name, strings.TrimPrefix(file, n.dir+"/"), used)
	if d.dice.IntN(3) == 0 {
		what += fmt.Sprintf(", cut at %d", at)
		err = os.Truncate(file, int64(at))
	} else {
		bit := d.dice.IntN(8)
		what += fmt.Sprintf(", bit %d of byte %d flipped", bit, at)
		err = flipBit(file, int64(at), data[at]^1<<bit)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return file, what
}

func flipBit(file string, at int64, to byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte{to}, at)
	return err
}

// filesByKind returns the files of a member that hold anything and may be read.
func filesByKind(t testing.TB, n *node) map[string][]string {
	t.Helper()
	byKind := map[string][]string{}
	err := filepath.WalkDir(n.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.Contains(entry.Name(), setAside) {
			return fs.SkipDir
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if len(bytes.TrimRight(data, "\x00")) > 0 {
			byKind[kindOf(n, path)] = append(byKind[kindOf(n, path)], path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return byKind
}

var numbers = regexp.MustCompile(`[0-9]+`)

// kindOf returns the name of a member's file without what tells it from others of
// its kind.
func kindOf(n *node, path string) string {
	return numbers.ReplaceAllString(strings.TrimPrefix(path, n.dir+"/"), "N")
}

// logSize returns the length of the node's log.
func (n *node) logSize() int64 {
	info, err := os.Stat(n.log)
	if err != nil {
		n.t.Fatal(err)
	}
	return info.Size()
}

// saidSince returns what came to the node's log since it had a length.
func (n *node) saidSince(size int64) string {
	text, err := os.ReadFile(n.log)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text[size:])
}

func TestKindsOfFilesHaveNoNumbers(t *testing.T) {
	n := &node{dir: "/data/a1"}
	if got := kindOf(n, "/data/a1/snapshots/00012-00400.snap"); got != "snapshots/N-N.snap" {
		t.Error(got)
	}
}
