package badgerlog

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// startsFile counts how often the directory was opened. Its content is a line
// with the number and one with the checksum of the first, as in the identity.
const startsFile = "starts"

// startsBytesMax bounds what is read of a file that claims to be one.
const startsBytesMax = 1 << 10

// maxStarts is how often a directory can be opened: at one start a second, for
// 136 years.
const maxStarts = 1<<32 - 1

// countStart counts one more start of the member, durably, and returns the boot
// number that it goes by: the count in the upper half, so that a later start has
// a greater one, over 32 random bits, so that a directory that was put back from
// a copy hardly ever uses a number twice.
func countStart(dir string) (boot uint64, err error) {
	path := filepath.Join(dir, startsFile)
	starts, err := readStarts(path)
	if err != nil {
		return 0, fmt.Errorf("start counter %s: %w", path, err)
	}
	if starts >= maxStarts {
		return 0, fmt.Errorf("start counter %s: the directory was opened %d times and can't be again", path, starts)
	}
	if err := replaceFile(path, renderStarts(starts+1)); err != nil {
		return 0, fmt.Errorf("start counter %s: %w", path, err)
	}
	var b [4]byte
	rand.Read(b[:]) // Never fails; the program would have been stopped.
	return (starts+1)<<32 | uint64(binary.BigEndian.Uint32(b[:])), nil
}

func renderStarts(starts uint64) []byte {
	text := fmt.Sprintf("starts %d\n", starts)
	return fmt.Appendf(nil, "%scrc %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// readStarts reads what renderStarts wrote, and nothing else.
func readStarts(path string) (uint64, error) {
	data, err := readAtMost(path, startsBytesMax)
	if errors.Is(err, os.ErrNotExist) {
		// Format wrote it before the identity, so it was taken away.
		return 0, fmt.Errorf("%w: it is missing", ErrDamaged)
	}
	if err != nil {
		return 0, err
	}
	var starts uint64
	if _, err := fmt.Sscanf(string(data), "starts %d\n", &starts); err != nil || string(renderStarts(starts)) != string(data) {
		return 0, fmt.Errorf("%w: it holds %q", ErrDamaged, data)
	}
	return starts, nil
}
