package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/conclave-dev/conclave/pkg/config"
)

// form is a representation of a key. Each has entity tags of its own, since
// one tag must never stand for two sequences of bytes.
type form uint8

const (
	// formRaw is the value's own bytes; its tag is the quoted modification
	// revision.
	formRaw form = iota
	// formEntry is the JSON envelope; its tag has envelopeMark added.
	formEntry
)

// envelopeMark tells the tags of envelopes from those of values.
const envelopeMark = ".meta"

// etag returns the entity tag of a key at a modification revision. Revision 0
// is that of an absent key, which so has a tag too, and one can wait for it to
// change.
func etag(revision uint64, f form) string {
	var buf [32]byte
	b := append(buf[:0], '"')
	b = strconv.AppendUint(b, revision, 10)
	if f == formEntry {
		b = append(b, envelopeMark...)
	}
	return string(append(b, '"'))
}

// tagList is the value of If-Match or If-None-Match.
type tagList struct {
	// any is set for "*".
	any  bool
	tags []entityTag
}

type entityTag struct {
	// opaque includes the quotes.
	opaque string
	weak   bool
}

// maxTags bounds a list of entity tags.
const maxTags = 32

// readTags reads a list of entity tags from a header. It returns nil when the
// header is absent.
func readTags(header http.Header, name string) (*tagList, error) {
	lines := header[textproto.CanonicalMIMEHeaderKey(name)]
	if len(lines) == 0 {
		return nil, nil
	}
	text := lines[0]
	if len(lines) > 1 {
		text = strings.Join(lines, ",")
	}
	text = strings.Trim(text, " \t")
	if text == "*" {
		return &tagList{any: true}, nil
	}
	list := &tagList{}
	for {
		tag, rest, err := cutTag(text)
		if err != nil {
			return nil, errMalformed.because("%s: %v", name, err)
		}
		if len(list.tags) == maxTags {
			return nil, errMalformed.because("%s: more than %d entity tags", name, maxTags)
		}
		list.tags = append(list.tags, tag)
		if rest == "" {
			return list, nil
		}
		text = rest
	}
}

// cutTag splits the first entity tag from a list.
func cutTag(text string) (tag entityTag, rest string, err error) {
	opaque, weak := strings.CutPrefix(text, "W/")
	if !strings.HasPrefix(opaque, `"`) {
		return tag, "", fmt.Errorf("%.80q is not an entity tag, which is quoted: \"42\" with the quotes", text)
	}
	end := strings.IndexByte(opaque[1:], '"')
	if end < 0 {
		return tag, "", fmt.Errorf("%.80q lacks its closing quote", text)
	}
	tag = entityTag{opaque: opaque[:end+2], weak: weak}
	rest = strings.TrimLeft(opaque[end+2:], " \t")
	if rest == "" {
		return tag, "", nil
	}
	if rest[0] != ',' {
		return tag, "", fmt.Errorf("%.80q follows an entity tag without a comma", rest)
	}
	rest = strings.Trim(rest[1:], " \t")
	if rest == "" {
		return tag, "", fmt.Errorf("a comma ends the list")
	}
	return tag, rest, nil
}

// includes tells whether the list names the representation with this tag, of
// a key that exists or not. Weak tags count: what is the same byte for byte is
// the same.
func (l *tagList) includes(tag string, exists bool) bool {
	if l == nil {
		return false
	}
	if l.any {
		return exists
	}
	for _, t := range l.tags {
		if t.opaque == tag {
			return true
		}
	}
	return false
}

// neverRevision is the revision of a tag that was never given out.
const neverRevision = math.MaxUint64

// precondition reads If-Match and If-None-Match of a write.
func precondition(header http.Header) (config.Precondition, error) {
	var none config.Precondition
	match, err := readTags(header, "If-Match")
	if err != nil {
		return none, err
	}
	noneMatch, err := readTags(header, "If-None-Match")
	if err != nil {
		return none, err
	}
	switch {
	case match != nil && noneMatch != nil:
		return none, errMalformed.because("If-Match and If-None-Match exclude each other")
	case noneMatch != nil && !noneMatch.any:
		return none, errUnsupported.because("If-None-Match on a write takes only *, which means: create")
	case noneMatch != nil:
		return config.IfAbsent(), nil
	case match == nil:
		return none, nil
	case match.any:
		return config.IfExists(), nil
	case len(match.tags) > 1:
		return none, errUnsupported.because("If-Match takes one entity tag here, and %d are given", len(match.tags))
	default:
		return config.IfRevision(match.tags[0].revision()), nil
	}
}

// revision returns the modification revision that a tag stands for. A tag of
// the envelope stands for the same write as the value's. By RFC 9110 a weak tag
// never matches in If-Match, nor does one that was never given out.
func (t entityTag) revision() uint64 {
	digits := strings.TrimSuffix(strings.Trim(t.opaque, `"`), envelopeMark)
	revision, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || t.weak || strconv.FormatUint(revision, 10) != digits {
		return neverRevision
	}
	return revision
}
