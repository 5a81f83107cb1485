package config

import "strings"

const (
	// DefaultListLimit is the number of items on a page when nobody says.
	DefaultListLimit = 100
	// MaxListLimit is the largest number that may be asked for.
	MaxListLimit = 1000
	// maxPageValueBytes ends a page with values early; a page holds at least
	// one item all the same.
	maxPageValueBytes = MaxValueBytes
	// maxPageSteps ends a page of an earlier revision early, after so many keys
	// that were absent then, and one of differences after so many that don't differ.
	maxPageSteps = 20_000
	// delimiter is the one character that can group keys.
	delimiter = "/"
)

// ListOptions says which keys of a namespace are listed and how. The zero
// value lists all of them, without values.
type ListOptions struct {
	// Prefix is what the keys begin with.
	Prefix string
	// Delimiter, "" or "/", groups what has it after the prefix: such keys are
	// listed once, as the common prefix up to and including it.
	Delimiter string
	// Limit is the number of keys and common prefixes on a page, 1 to
	// MaxListLimit; 0 means DefaultListLimit.
	Limit int
	// Cursor is the Next of the page before, made with the same namespace,
	// Prefix and Delimiter.
	Cursor string
	// Values tells that the caller will use the values too. Then a page also
	// ends before its values exceed MaxValueBytes together.
	Values bool
}

// Page is a part of a listing, in byte order. All pages of a listing are as of
// one revision, that of the first one; when history no longer reaches there, the
// next is an ErrPruned. A page may be empty and yet have a next one.
type Page struct {
	// Revision is what the listing is as of.
	Revision uint64
	Entries  []*Entry
	// Prefixes are the common prefixes, each ending with the delimiter.
	Prefixes []string
	// Next is the cursor of the next page, empty at the end of the listing.
	Next string
}

func (o *ListOptions) check() error {
	if err := CheckPrefix(o.Prefix); err != nil {
		return err
	}
	if o.Delimiter != "" && o.Delimiter != delimiter {
		return invalid("delimiter", "%q: only %q is offered", o.Delimiter, delimiter)
	}
	if o.Limit < 0 || o.Limit > MaxListLimit {
		return invalid("limit", "%d is not within 1 and %d", o.Limit, MaxListLimit)
	}
	return nil
}

// list collects a page as of a revision that the view can be read at. It begins
// at the key from.
func (v *View) list(namespace string, o ListOptions, from string, revision uint64) (page Page, last string) {
	if o.Limit == 0 {
		o.Limit = DefaultListLimit
	}
	c := lister{options: o, page: Page{Revision: revision}}
	// Each turn but the last lists a common prefix, so the limit bounds them.
	for again := true; again; {
		again = false
		v.ascend(namespace, from, revision, func(key string, e *Entry) bool {
			more := c.visit(key, e)
			if c.skipTo != "" {
				from, c.skipTo, again = c.skipTo, "", true
			}
			return more && !again
		})
	}
	if !c.full {
		c.last = ""
	}
	return c.page, c.last
}

// lister fills a page from keys that come in order.
type lister struct {
	options ListOptions
	page    Page
	bytes   int
	// absent counts the keys passed over.
	absent int
	// last is the last item listed or passed over.
	last string
	// skipTo, when set, is where the walk goes on: behind a common prefix.
	skipTo string
	// full tells that the page ended before the listing did.
	full bool
}

// visit lists one key or its common prefix and tells whether the walk goes on.
func (l *lister) visit(key string, e *Entry) bool {
	rest, ok := strings.CutPrefix(key, l.options.Prefix)
	if !ok {
		return false
	}
	if e == nil {
		return l.pass(key)
	}
	items := len(l.page.Entries) + len(l.page.Prefixes)
	if items == l.options.Limit {
		l.full = true
		return false
	}
	if l.options.Delimiter != "" {
		if i := strings.IndexByte(rest, delimiter[0]); i >= 0 {
			common := key[:len(l.options.Prefix)+i+1]
			l.page.Prefixes = append(l.page.Prefixes, common)
			l.last, l.skipTo = common, after(common)
			return false
		}
	}
	if l.options.Values {
		if l.bytes += len(e.Value); l.bytes > maxPageValueBytes && items > 0 {
			l.full = true
			return false
		}
	}
	l.page.Entries = append(l.page.Entries, e)
	l.last = key
	return true
}

// pass goes over a key that was absent, and tells whether the walk goes on.
func (l *lister) pass(key string) bool {
	l.last = key
	l.absent++
	l.full = l.absent == maxPageSteps
	return !l.full
}

// after returns the first possible key that lies behind a listed item: behind
// a key itself, or behind all keys that begin with a common prefix.
func after(item string) string {
	if common, ok := strings.CutSuffix(item, delimiter); ok {
		return common + string(delimiter[0]+1)
	}
	return item + "\x00"
}
