package httpapi

import (
	"bytes"
	"sync"

	"github.com/conclave-dev/conclave/pkg/config"
)

// encodings lets watches share the encoding of a revision: it is made once for
// all who see the same of it. What is held is bounded, and counts for as long as
// anybody is still sending it. When there is no room, a watch encodes for itself,
// piece by piece.
type encodings struct {
	limit int64

	mu sync.Mutex
	// held is the weight of all that exist, and made counts all that ever did.
	held  int64
	made  int64
	byKey map[encodingKey]*encoding
	// order holds those in byKey, oldest first.
	order []*encoding
}

// encodingKey names what is seen of a revision.
type encodingKey struct {
	revision  uint64
	namespace string
	// prefix is empty when all of the namespace's changes are seen.
	prefix string
}

// encoding is the changes of a revision as JSON, separated by commas.
type encoding struct {
	key  encodingKey
	once sync.Once
	// bytes may be read once acquire has returned.
	bytes []byte

	// weight, users and kept (whether it is in byKey) are under encodings.mu.
	weight int64
	users  int
	kept   bool
}

// encodingShare is the part of the limit that one encoding may have, and
// encodingOverhead is what each counts beside its bytes.
const (
	encodingShare    = 8
	encodingOverhead = 512
)

func newEncodings(limit int64) *encodings {
	return &encodings{limit: limit, byKey: map[encodingKey]*encoding{}}
}

// load returns the weight of all that exist, and how many were ever made.
func (c *encodings) load() (bytes, made int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held, c.made
}

// acquire returns the shared encoding of a revision as a watch sees it, or nil
// when there is no room for one. The caller gives it back by release.
func (c *encodings) acquire(q *watchRequest, revision *config.Revision, whole bool) *encoding {
	key := encodingKey{revision: revision.Number, namespace: q.namespace}
	if !whole {
		key.prefix = q.prefix
	}
	e := c.take(key, estimate(revision))
	if e == nil {
		return nil
	}
	e.once.Do(func() {
		var b bytes.Buffer
		for i, change := range revision.Changes {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeChange(&b, change.Entry); err != nil {
				panic("httpapi: a change can't be encoded: " + err.Error())
			}
		}
		e.bytes = b.Bytes()
		c.reweigh(e, int64(b.Cap())+encodingOverhead)
	})
	return e
}

// estimate is about what an encoding weighs.
func estimate(revision *config.Revision) int64 {
	weight := int64(encodingOverhead)
	for _, c := range revision.Changes {
		weight += 200 + int64(len(c.Entry.Key)+len(c.Entry.Value)*4/3)
	}
	return weight
}

// take finds an encoding, or makes room for one that is yet to be made.
func (c *encodings) take(key encodingKey, weight int64) *encoding {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		if weight > c.limit/encodingShare {
			return nil
		}
		for c.held+weight > c.limit && len(c.order) > 0 {
			c.evictOldest()
		}
		if c.held+weight > c.limit {
			return nil // all that remains is being sent
		}
		e = &encoding{key: key, weight: weight, kept: true}
		c.byKey[key] = e
		c.order = append(c.order, e)
		c.held += weight
		c.made++
	}
	e.users++
	return e
}

func (c *encodings) evictOldest() {
	oldest := c.order[0]
	c.order[0] = nil
	c.order = c.order[1:]
	delete(c.byKey, oldest.key)
	oldest.kept = false
	if oldest.users == 0 {
		c.held -= oldest.weight
	}
}

func (c *encodings) reweigh(e *encoding, weight int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held += weight - e.weight
	e.weight = weight
}

func (c *encodings) release(e *encoding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.users--; e.users == 0 && !e.kept {
		c.held -= e.weight
	}
}
