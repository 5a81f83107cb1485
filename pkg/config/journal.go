package config

import (
	"cmp"
	"iter"
	"slices"

	"github.com/tidwall/btree"
)

// journalBlock is how many revisions a block of the journal holds.
const journalBlock = 64

// journal holds revisions in the order of their numbers. A new one comes at its
// end, and old ones leave at its beginning, so that it is in blocks: one to which
// revisions are added, one that they leave, and a tree of those between, which
// changes once in journalBlock revisions only.
//
// What was stored in a block stays as it is: the last one grows beyond what its
// copies see, and the first one is replaced, so that it keeps nothing alive that
// has left.
type journal struct {
	// head is the first block, without what has left it. It is empty in an empty
	// journal only.
	head []*Revision
	// full holds the blocks between head and tail, by their first numbers. While
	// it is shared with a copy of the journal it is not to be changed.
	full   btree.Map[uint64, []*Revision]
	shared bool
	// tail is the last block, nil while there is none but head.
	tail   []*Revision
	length int
}

// freeze returns a copy that later changes leave alone. It costs the same
// whatever the length.
func (j *journal) freeze() journal {
	j.shared = true
	return *j
}

// own returns the blocks between, to be changed.
func (j *journal) own() *btree.Map[uint64, []*Revision] {
	if j.shared {
		j.full, j.shared = *j.full.Copy(), false
	}
	return &j.full
}

// push adds a revision that is later than all others.
func (j *journal) push(r *Revision) {
	j.length++
	if j.length == 1 {
		j.head = []*Revision{r}
		return
	}
	if len(j.tail) == journalBlock {
		j.own().Set(j.tail[0].Number, j.tail)
		j.tail = nil
	}
	if j.tail == nil {
		j.tail = make([]*Revision, 0, journalBlock)
	}
	j.tail = append(j.tail, r)
}

// pop removes the first revision of a journal that isn't empty.
func (j *journal) pop() {
	j.length--
	switch {
	case len(j.head) > 1:
		j.head = slices.Clone(j.head[1:])
	case j.full.Len() > 0:
		_, j.head, _ = j.own().PopMin()
	default:
		j.head, j.tail = j.tail, nil
	}
}

// first returns the first revision, nil when there is none.
func (j *journal) first() *Revision {
	if j.length == 0 {
		return nil
	}
	return j.head[0]
}

// last returns the last revision, nil when there is none.
func (j *journal) last() *Revision {
	switch {
	case j.length == 0:
		return nil
	case len(j.tail) > 0:
		return j.tail[len(j.tail)-1]
	default:
		return j.head[len(j.head)-1]
	}
}

// get returns a revision by its number, nil when the journal lacks it.
func (j *journal) get(number uint64) *Revision {
	for r := range j.from(number) {
		if r.Number == number {
			return r
		}
		break
	}
	return nil
}

// from walks over the revisions from a number on.
func (j *journal) from(number uint64) iter.Seq[*Revision] {
	return func(yield func(*Revision) bool) {
		if !visit(j.head, number, yield) {
			return
		}
		// The block that the number is in may begin before it.
		begin, more := number, true
		j.full.Descend(number, func(first uint64, _ []*Revision) bool {
			begin = first
			return false
		})
		j.full.Ascend(begin, func(_ uint64, block []*Revision) bool {
			more = visit(block, number, yield)
			return more
		})
		if more {
			visit(j.tail, number, yield)
		}
	}
}

// visit shows the revisions of a block from a number on and tells whether to go
// on.
func visit(block []*Revision, number uint64, yield func(*Revision) bool) bool {
	at, _ := slices.BinarySearchFunc(block, number, func(r *Revision, n uint64) int { return cmp.Compare(r.Number, n) })
	for _, r := range block[at:] {
		if !yield(r) {
			return false
		}
	}
	return true
}
