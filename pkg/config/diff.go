package config

// DiffOptions says what two revisions are compared in.
type DiffOptions struct {
	// Prefix is what the keys begin with.
	Prefix string
	// From and To are revisions that the view can be read at, in any order.
	From, To uint64
	// Limit is the number of differences on a page, 1 to MaxListLimit; 0 means
	// DefaultListLimit. A page also ends before its values exceed MaxValueBytes
	// together, but holds at least one.
	Limit int
	// After is the Next of the page before.
	After string
}

// Difference is a key whose value or media type differs between two revisions.
type Difference struct {
	Key string
	// Before is the entry at From and After that at To; one of them is nil when
	// the key was absent there.
	Before, After *Entry
}

// DiffPage is a part of the differences, in byte order of the keys. It may be
// empty and yet have a next one.
type DiffPage struct {
	Differences []Difference
	// Next is the last key that was compared, empty at the end.
	Next string
}

// Diff compares a namespace at two revisions. Its errors are ErrInvalid and
// those of CheckRevision.
func (v *View) Diff(namespace string, o DiffOptions) (DiffPage, error) {
	if err := o.check(namespace); err != nil {
		return DiffPage{}, err
	}
	for _, revision := range []uint64{o.From, o.To} {
		if err := v.CheckRevision(revision); err != nil {
			return DiffPage{}, err
		}
	}
	if o.Limit == 0 {
		o.Limit = DefaultListLimit
	}
	var page DiffPage
	size, same, last := 0, 0, o.After
	sp := v.space(namespace)
	for key := range sp.mayDiffer(&v.journal, o.Prefix, after(o.After), min(o.From, o.To), max(o.From, o.To)) {
		d := Difference{Key: key, Before: sp.at(key, o.From), After: sp.at(key, o.To)}
		if sameContent(d.Before, d.After) {
			same++
		} else {
			size += d.Before.size() + d.After.size()
			if n := len(page.Differences); n == o.Limit || n > 0 && size > maxPageValueBytes {
				page.Next = last
				break
			}
			page.Differences = append(page.Differences, d)
		}
		if last = key; same == maxPageSteps {
			page.Next = last
			break
		}
	}
	return page, nil
}

func (o *DiffOptions) check(namespace string) error {
	if err := CheckNamespace(namespace); err != nil {
		return err
	}
	if err := CheckPrefix(o.Prefix); err != nil {
		return err
	}
	if o.Limit < 0 || o.Limit > MaxListLimit {
		return invalid("limit", "%d is not within 1 and %d", o.Limit, MaxListLimit)
	}
	return nil
}
