package pki

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options say where a Store reads, and what has to stand there. Dir is required.
type Options struct {
	// Dir is the directory with the files.
	Dir string
	// Authorities tells whether the file of authorities has to be there.
	Authorities bool
	// Usages are what the certificate has to allow, among those for servers and
	// for clients.
	Usages []x509.ExtKeyUsage
	// Check, if not nil, returns why a certificate can't be used here, such as that
	// it is made out to another.
	Check func(*x509.Certificate) error
	// Interval is how often Watch looks at the files. Default 1 s.
	Interval time.Duration
	// Now tells the time. Default time.Now.
	Now func() time.Time
	// Logger is told of changes, of files that can't be used, and of an end that
	// comes near. Default slog.Default().
	Logger *slog.Logger
}

// A Store holds the certificate, key and authorities of a directory, and follows
// changes of the files. It is safe for concurrent use.
type Store struct {
	options Options
	current atomic.Pointer[Material]
	// failing is set while what is on disk can't be used.
	failing atomic.Bool

	mu sync.Mutex // of those below, and of Reload
	// told is the failure that was logged last, age the nearness of the end.
	told string
	age  age
}

// Open reads a directory. A certificate that has expired is taken, so that a
// service starts and gets going when it is renewed; all else that is wrong is an
// error.
func Open(o Options) (*Store, error) {
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{options: o}
	raw, err := readFiles(o.Dir, o.Authorities)
	if err != nil {
		return nil, err
	}
	m, err := s.accept(raw)
	if err != nil {
		return nil, err
	}
	s.current.Store(m)
	s.watchAge(m)
	return s, nil
}

// Current returns what is in use.
func (s *Store) Current() *Material { return s.current.Load() }

// Failing tells whether the files hold something that can't be used, and what was
// there before is still in use.
func (s *Store) Failing() bool { return s.failing.Load() }

// Watch reads the files again now and then, until ctx ends.
func (s *Store) Watch(ctx context.Context) {
	beat := time.NewTicker(s.options.Interval)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			s.Reload()
		case <-ctx.Done():
			return
		}
	}
}

// Reload reads the files again, and takes what they hold if it can be used.
func (s *Store) Reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.watchAge(s.Current()) }()
	raw, err := readFiles(s.options.Dir, s.options.Authorities)
	if err == nil && s.Current().same(raw) {
		s.failing.Store(false)
		s.told = ""
		return
	}
	var next *Material
	if err == nil {
		next, err = s.accept(raw)
	}
	if err == nil {
		err = s.lives(next)
	}
	if err != nil {
		s.failing.Store(true)
		if s.told != err.Error() {
			s.told = err.Error()
			s.options.Logger.Error("the certificate on disk can't be used, the one from before stays", "dir", s.options.Dir,
				"error", err, "expires", s.Current().NotAfter())
		}
		return
	}
	s.current.Store(next)
	s.failing.Store(false)
	s.told, s.age = "", young
	s.options.Logger.Info("certificate read again, new connections use it", "dir", s.options.Dir, "expires", next.NotAfter())
}

// accept makes material of the files, if it is fit for use at some time.
func (s *Store) accept(raw [3][]byte) (*Material, error) {
	m, err := parseMaterial(s.options.Dir, raw, s.options.Now(), s.options.Usages...)
	if err != nil {
		return nil, err
	}
	if s.options.Check != nil {
		if err := s.options.Check(m.Certificate.Leaf); err != nil {
			return nil, fmt.Errorf("%s: %w", s.options.Dir, err)
		}
	}
	return m, nil
}

// lives returns why a certificate isn't valid at this moment.
func (s *Store) lives(m *Material) error {
	leaf, now := m.Certificate.Leaf, s.options.Now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return fmt.Errorf("%s: it is valid from %s to %s, and now it is %s", s.options.Dir,
			leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	return nil
}

// age is how near the end of a certificate is.
type age int

const (
	young age = iota
	// old: less than a tenth of its life is left.
	old
	expired
)

// watchAge logs when the end comes near and when it has come, once each.
func (s *Store) watchAge(m *Material) {
	leaf, now := m.Certificate.Leaf, s.options.Now()
	reached := young
	switch left := leaf.NotAfter.Sub(now); {
	case left < 0:
		reached = expired
	case left < leaf.NotAfter.Sub(leaf.NotBefore)/10:
		reached = old
	}
	if reached <= s.age {
		return
	}
	s.age = reached
	if reached == expired {
		s.options.Logger.Error("the certificate has expired, nobody accepts it", "dir", s.options.Dir, "expired", leaf.NotAfter)
		return
	}
	s.options.Logger.Warn("the certificate expires soon", "dir", s.options.Dir, "expires", leaf.NotAfter)
}
