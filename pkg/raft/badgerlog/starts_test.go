package badgerlog_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

func TestEachStartHasAGreaterBootNumber(t *testing.T) {
	dir := formatted(t)
	last := uint64(0)
	for range 5 {
		l, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		if boot := l.Boot(); boot <= last || boot>>32 != last>>32+1 {
			t.Errorf("boot number %x follows %x", boot, last)
		}
		last = l.Boot()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStartThatFailedIsCountedAllTheSame(t *testing.T) {
	dir := formatted(t)
	l, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	before := l.Boot()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// Where a directory belongs, a file can't be opened as one.
	log := filepath.Join(dir, "log")
	if err := errors.Join(os.Rename(log, log+".aside"), os.WriteFile(log, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()}); err == nil {
		t.Fatal("a directory without a log was opened")
	}
	if err := errors.Join(os.Remove(log), os.Rename(log+".aside", log)); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, dir)
	if after := l.Boot(); after>>32 != before>>32+2 {
		t.Errorf("boot number %x after one failed start since %x", after, before)
	}
}

func TestADamagedStartCounterStopsTheMember(t *testing.T) {
	for what, damage := range map[string]func(path string) error{
		"missing":     os.Remove,
		"empty":       func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"another":     func(path string) error { return os.WriteFile(path, []byte("starts 9\ncrc 00000000\n"), 0o600) },
		"with a tail": func(path string) error { return appendTo(path, "\n") },
		"too long":    func(path string) error { return appendTo(path, strings.Repeat("\n", 5000)) },
	} {
		dir := formatted(t)
		if err := damage(filepath.Join(dir, "starts")); err != nil {
			t.Fatal(err)
		}
		_, err := badgerlog.Open(dir, badgerlog.Options{Logger: quiet()})
		if err == nil || !strings.Contains(err.Error(), "start counter") || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func appendTo(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, text...), 0o600)
}
