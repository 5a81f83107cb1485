package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unique"
)

// space reads the entries of the namespace that fields announces and returns
// its name, which must come after previous.
func (r *frameReader) space(c *contents, previous string, fields []byte) (string, error) {
	var announced namespaceFields
	if err := decodeFrame(frameNamespace, fields, &announced); err != nil {
		return "", err
	}
	if err := CheckNamespace(announced.Name); err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	set := announced.SettingsRevision != 0
	if announced.Name <= previous || announced.Keys == 0 && announced.Older == 0 && !set && announced.Schemas == 0 ||
		announced.SettingsRevision > c.revision || set != (announced.QuotaBytes > 0) {
		return "", fmt.Errorf("%w: namespace %q with %d keys, %d older entries and settings of revision %d follows %q",
			ErrBadSnapshot, announced.Name, announced.Keys, announced.Older, announced.SettingsRevision, previous)
	}
	sp := &space{
		name: announced.Name, settings: NamespaceSettings{announced.QuotaBytes}, settingsRevision: announced.SettingsRevision,
	}
	if set {
		c.configured++
	}
	if err := r.schemas(c, sp, announced.Schemas, announced.SchemaRevision); err != nil {
		return "", err
	}
	if err := r.live(c, sp, announced.Keys); err != nil {
		return "", err
	}
	if err := r.older(c, sp, announced.Older); err != nil {
		return "", err
	}
	c.spaces.Load(sp.name, sp)
	c.keys += sp.entries.Len()
	c.bytes += sp.bytes
	return sp.name, nil
}

// live reads the live entries of a namespace.
func (r *frameReader) live(c *contents, sp *space, keys uint64) error {
	last := ""
	for range keys {
		entry, err := r.entry(c.revision)
		if err != nil {
			return err
		}
		if entry.Key <= last || entry.Deleted() {
			return fmt.Errorf("%w: key %q of version %d follows %q", ErrBadSnapshot, entry.Key, entry.Version, last)
		}
		last = entry.Key
		sp.entries.Load(entry.Key, entry)
		sp.bytes += entry.chargeBytes()
	}
	if keys > 0 {
		sp.bytes += namespaceOverheadBytes
	}
	return nil
}

// older reads the older entries of a namespace whose live ones are read.
func (r *frameReader) older(c *contents, sp *space, entries uint64) error {
	if entries == 0 {
		return nil
	}
	sp.older = newVersions()
	c.history.bytes += namespaceOverheadBytes
	last := &Entry{}
	for range entries {
		entry, err := r.entry(c.revision)
		if err != nil {
			return err
		}
		live := sp.get(entry.Key)
		if !sp.older.Less(last, entry) || live != nil && live.ModRevision <= entry.ModRevision {
			return fmt.Errorf("%w: older entry of key %q and revision %d follows key %q and revision %d",
				ErrBadSnapshot, entry.Key, entry.ModRevision, last.Key, last.ModRevision)
		}
		switch {
		case live != nil:
			entry.Key = live.Key // One copy of a key is enough.
		case last.Key == entry.Key:
			entry.Key = last.Key
		}
		last = entry
		sp.older.Load(entry)
		c.history.bytes += entry.chargeBytes()
	}
	return nil
}

// entry reads one entry of a store at revision.
func (r *frameReader) entry(revision uint64) (*Entry, error) {
	f := &r.fields
	*f = entryFields{} // What is read goes to an empty one.
	if err := r.expect(frameEntry, f); err != nil {
		return nil, err
	}
	if err := errors.Join(CheckKey(f.Key), checkValue(f.Value)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	e := &Entry{
		Key: f.Key, Value: f.Value, CreateRevision: f.CreateRevision, ModRevision: f.ModRevision, Version: f.Version, TimeMillis: f.TimeMillis,
	}
	sound := f.CreateRevision > 0 && f.CreateRevision <= f.ModRevision
	if e.Deleted() {
		sound = f.CreateRevision == 0 && f.ModRevision > 0 && f.Value == nil && f.MediaType == ""
	} else {
		if err := checkMediaTypeBytes(f.MediaType); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
		}
		e.MediaType = unique.Make(f.MediaType).Value()
	}
	if !sound || f.ModRevision > revision {
		return nil, fmt.Errorf("%w: key %q is created at %d, written at %d, version %d, in a store of revision %d",
			ErrBadSnapshot, f.Key, f.CreateRevision, f.ModRevision, f.Version, revision)
	}
	return e, nil
}

// revision reads a revision of the journal, when all entries are there.
func (r *frameReader) revision(c *contents, fields []byte) error {
	var f revisionFields
	if err := decodeFrame(frameRevision, fields, &f); err != nil {
		return err
	}
	h := &c.history
	last := uint64(0)
	if newest := h.journal.last(); newest != nil {
		last = newest.Number
	}
	if f.Number <= last || f.Number > c.revision || f.AgeMillis > h.ageMillis || len(f.Reason) > MaxReasonBytes {
		return fmt.Errorf("%w: revision %d of age %d follows revision %d in a store of revision %d and age %d",
			ErrBadSnapshot, f.Number, f.AgeMillis, last, c.revision, h.ageMillis)
	}
	changes, err := c.decodeChanges(r.changes[:0], f.Number, f.Changes)
	if err != nil {
		return err
	}
	r.changes = changes
	revision := newRevision(f.Number, len(changes))
	revision.TimeMillis, revision.ageMillis, revision.Reason = f.TimeMillis, f.AgeMillis, f.Reason
	copy(revision.Changes, changes)
	h.journal.push(revision)
	h.bytes += revision.chargeBytes() + changeOverheadBytes*int64(len(changes))
	return nil
}

// decodeChanges appends what appendChanges wrote of a revision, with the entries
// that it finds, to an empty list.
func (c *contents) decodeChanges(changes []Change, number uint64, data []byte) ([]Change, error) {
	var sp *space
	for len(data) > 0 {
		if length := int(data[0]); length > 0 && len(data) > length {
			if name := data[1 : 1+length]; sp == nil || sp.name != string(name) {
				sp = c.space(string(name))
			}
			data = data[1+length:]
		} else {
			data = data[1:]
		}
		if sp == nil || len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) || len(changes) == MaxRevisionChanges {
			return nil, fmt.Errorf("%w: change %d of revision %d can't be read", ErrBadSnapshot, len(changes)+1, number)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		key := string(data[2:end])
		data = data[end:]
		entry := sp.get(key)
		if entry == nil || entry.ModRevision != number {
			entry = sp.before(key, number)
		}
		if entry == nil || entry.ModRevision != number {
			return nil, fmt.Errorf("%w: revision %d changes key %q, which has no entry of it", ErrBadSnapshot, number, key)
		}
		changes = append(changes, Change{Namespace: sp.name, Entry: entry})
	}
	return changes, nil
}

// end compares what was read with what the writer had; checksum is that of
// everything before the end frame.
func (r *frameReader) end(c *contents, checksum uint32, fields []byte) error {
	var end endFields
	if err := decodeFrame(frameEnd, fields, &end); err != nil {
		return err
	}
	read := endFields{
		Sessions: uint64(len(c.sessions)), Kept: uint64(c.kept.byIndex.Len()), Namespaces: uint64(c.spaces.Len()), Keys: uint64(c.keys), Bytes: c.bytes,
		Revisions: uint64(c.history.journal.length), HistoryBytes: c.history.bytes, Checksum: checksum,
	}
	c.spaces.Scan(func(_ string, sp *space) bool {
		read.Older += uint64(sp.olderLen())
		return true
	})
	if read != end {
		return fmt.Errorf("%w: it sums up to %+v and says %+v", ErrBadSnapshot, read, end)
	}
	if err := c.checkJournal(); err != nil {
		return err
	}
	switch _, err := r.from.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: more follows its end", ErrBadSnapshot)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// checkJournal holds the journal to the entries: each one from after the oldest
// revision is a change of its revision, and no key changes twice in one.
func (c *contents) checkJournal() error {
	after := 0
	count := func(e *Entry) bool {
		if e.ModRevision > c.history.oldest {
			after++
		}
		return true
	}
	c.spaces.Scan(func(_ string, sp *space) bool {
		sp.entries.Scan(func(_ string, e *Entry) bool { return count(e) })
		if sp.older != nil {
			sp.older.Scan(count)
		}
		return true
	})
	seen := map[*Entry]struct{}{}
	for r := range c.history.journal.from(0) {
		if len(r.Changes) > 1 {
			clear(seen)
			for _, change := range r.Changes {
				seen[change.Entry] = struct{}{}
			}
			if len(seen) != len(r.Changes) {
				return fmt.Errorf("%w: revision %d changes a key twice", ErrBadSnapshot, r.Number)
			}
		}
		if r.Number > c.history.oldest {
			after -= len(r.Changes)
		}
	}
	if after != 0 {
		return fmt.Errorf("%w: %d more entries than changes from after revision %d", ErrBadSnapshot, after, c.history.oldest)
	}
	return nil
}
