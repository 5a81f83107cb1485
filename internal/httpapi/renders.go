package httpapi

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/conclave-dev/conclave/pkg/config"
)

// renders makes documents of prefixes. To make one can take much memory and a
// second of time, and after a change everybody who waits for a prefix wants it at
// once: so a document is made once for all who want it of the same entries, few
// are made at a time, and what is kept of them is bounded.
type renders struct {
	// turns are taken by whoever reads documents into memory, and gathering by
	// whoever lists the entries of one.
	turns     *semaphore.Weighted
	gathering *semaphore.Weighted
	limit     int64

	mu sync.Mutex
	// held is the weight of all that are kept or in use.
	held   int64
	byName map[renderName]*rendered
	// order holds those in byName, the one that was used longest ago first.
	order list.List
}

// renderName is what a document is made of, and how.
type renderName struct {
	namespace, prefix string
	format            config.RenderFormat
}

// rendered is a document of certain entries, or the error that says why there
// can't be one.
type rendered struct {
	name renderName
	// entries are what it is of. They are kept because entries never change: the
	// same ones make the same document.
	entries []*config.Entry
	// made is closed when what follows is final.
	made     chan struct{}
	document []byte
	tag      string
	err      error

	// weight, users and place are under renders.mu; place is nil when nobody new
	// may come.
	weight int64
	users  int
	place  *list.Element
}

const (
	// renderOverhead is what a document weighs beside its bytes and entries.
	renderOverhead = 4 << 10
	// maxGathering is how many lists of entries, of up to four megabytes, may be made
	// at a time. It is short work.
	maxGathering = 4
)

var (
	// errNotMade: whoever was to make the document gave up.
	errNotMade = errors.New("not made")
	// errNoTurn and errRendersFull tell the client why it gets none.
	errNoTurn      = fmt.Errorf("%w: other documents are being made", config.ErrOverloaded)
	errRendersFull = fmt.Errorf("%w: documents that are wanted or being sent take too much memory", config.ErrOverloaded)
)

func newRenders(turns *semaphore.Weighted, limit int64) *renders {
	return &renders{
		turns: turns, gathering: semaphore.NewWeighted(maxGathering), limit: limit, byName: map[renderName]*rendered{},
	}
}

// bytes is the weight of all that are kept or in use.
func (s *renders) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// get returns the document of the entries that gather lists, which are all that the
// name takes in. The caller gives it back by release. Errors: those of gather and
// config.Render, and ErrOverloaded when ctx ends first or too many documents are in
// use or wanted.
func (s *renders) get(ctx context.Context, name renderName, gather func() ([]*config.Entry, error)) (*rendered, error) {
	one, isNew, err := s.find(ctx, name, gather)
	for ; err == nil; one, isNew, err = s.take(name, one.entries) {
		if isNew {
			s.make(ctx, one)
		}
		select {
		case <-one.made:
		case <-ctx.Done():
			s.release(one)
			return nil, errNoTurn
		}
		if one.err == nil {
			return one, nil
		}
		s.release(one)
		switch {
		case !errors.Is(one.err, errNotMade):
			return nil, one.err
		case isNew:
			return nil, errNoTurn
		}
	}
	return nil, err
}

// find gathers the entries, in turn, and takes the document of them. Then many who
// wait for one document hold one list of entries.
func (s *renders) find(ctx context.Context, name renderName, gather func() ([]*config.Entry, error)) (*rendered, bool, error) {
	if s.gathering.Acquire(ctx, 1) != nil {
		return nil, false, errNoTurn
	}
	defer s.gathering.Release(1)
	entries, err := gather()
	if err != nil {
		return nil, false, err
	}
	return s.take(name, entries)
}

// take finds the document, made or being made, or a place for a new one, which it
// refuses with ErrOverloaded when all that are in use or wanted are too many. What a
// document that waits for its turn weighs is its list: the entries are the store's.
func (s *renders) take(name renderName, entries []*config.Entry) (one *rendered, isNew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one = s.byName[name]
	if one != nil && slices.Equal(one.entries, entries) {
		one.users++
		s.order.MoveToBack(one.place)
		return one, false, nil
	}
	if one != nil {
		s.drop(one)
	}
	one = &rendered{name: name, entries: entries, made: make(chan struct{}), users: 1}
	one.weight = renderOverhead + int64(len(name.prefix)+16*len(entries))
	s.held += one.weight
	s.shrink()
	if s.held > s.limit {
		s.held -= one.weight
		return nil, false, errRendersFull
	}
	s.byName[name] = one
	one.place = s.order.PushBack(one)
	return one, true, nil
}

// make makes a document that is new, in turn.
func (s *renders) make(ctx context.Context, one *rendered) {
	one.err = errNotMade
	defer func() {
		if errors.Is(one.err, errNotMade) || errors.Is(one.err, config.ErrOverloaded) {
			s.mu.Lock()
			s.drop(one)
			s.mu.Unlock()
		}
		close(one.made)
	}()
	if s.turns.Acquire(ctx, 1) != nil {
		return
	}
	defer s.turns.Release(1)
	values := int64(0)
	for _, entry := range one.entries {
		values += int64(len(entry.Value))
	}
	if !s.weigh(one, values) {
		one.err = errRendersFull
		return
	}
	document, err := config.Render(one.entries, one.name.prefix, one.name.format)
	if err != nil {
		one.err = err
		return
	}
	if !s.weigh(one, int64(cap(document))) {
		one.err = errRendersFull
		return
	}
	sum := sha256.Sum256(document)
	one.document, one.tag, one.err = document, fmt.Sprintf(`"%.16x"`, sum), nil
}

// weigh adds to the weight of a document, and tells whether there is room for it.
func (s *renders) weigh(one *rendered, bytes int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held += bytes
	one.weight += bytes
	s.shrink()
	return s.held <= s.limit
}

// shrink drops what nobody uses, oldest first, until the rest is within the
// limit.
func (s *renders) shrink() {
	for place := s.order.Front(); place != nil && s.held > s.limit; {
		one := place.Value.(*rendered) //nolint:forcetypeassert // nothing else is in there
		place = place.Next()
		if one.users == 0 {
			s.drop(one)
		}
	}
}

// drop lets nobody new come to a document. Those who use it go on.
func (s *renders) drop(one *rendered) {
	if one.place == nil {
		return
	}
	s.order.Remove(one.place)
	one.place = nil
	delete(s.byName, one.name)
	if one.users == 0 {
		s.held -= one.weight
	}
}

// release ends the use of a document.
func (s *renders) release(one *rendered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.users--
	if one.users == 0 && one.place == nil {
		s.held -= one.weight
		return
	}
	s.shrink()
}
