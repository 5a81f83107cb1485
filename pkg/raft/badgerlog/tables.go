package badgerlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/table"
)

// verifyTables verifies every table that counts before Badger opens it. Badger
// verifies them too, but it trusts the lengths in them until then, and a wrong one
// ends the process. A table that the manifest doesn't name was being written when
// the process died; Badger removes it.
func verifyTables(options badger.Options) error {
	manifest, err := os.Open(filepath.Join(options.Dir, badger.ManifestFilename))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	replayed, _, err := badger.ReplayManifestFile(manifest, options.ExternalMagicVersion, options)
	if closeErr := manifest.Close(); err != nil || closeErr != nil {
		return closeErr // Badger says itself what ails its manifest.
	}
	for id := range replayed.Tables {
		f, err := os.Open(table.NewFilename(id, options.Dir))
		if errors.Is(err, os.ErrNotExist) {
			continue // Badger finds out.
		}
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err == nil {
			err = verifyTable(f, info.Size())
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("table %s: %w", filepath.Base(f.Name()), err)
		}
	}
	return nil
}

// verifyTable verifies the index of a table, which lies at its end, and by the
// index every block. The checksum of a block lies at its end likewise. Size is
// the length of all.
//
//	+--------+-------+--------+----------+--------+
//	| blocks | index | length | checksum | length |
//	|        |       | 4      |          | 4      |
//	+--------+-------+--------+----------+--------+
func verifyTable(f io.ReaderAt, size int64) error {
	checksum, rest, err := readTail(f, 0, size)
	if err != nil {
		return err
	}
	encoded, _, err := readTail(f, 0, rest)
	if err != nil {
		return err
	}
	if !fits(checksum, encoded) {
		return damaged("the index has a wrong checksum")
	}
	if len(encoded) == 0 { // which has a checksum too
		return damaged("there is no index")
	}
	index := fb.GetRootAsTableIndex(encoded, 0)
	var block fb.BlockOffset
	for n := range index.OffsetsLength() {
		index.Offsets(&block, n)
		begin := int64(block.Offset())
		checksum, rest, err := readTail(f, begin, begin+int64(block.Len()))
		if err != nil {
			return err
		}
		data := make([]byte, rest-begin)
		if _, err := f.ReadAt(data, begin); err != nil {
			return err
		}
		if !fits(checksum, data) {
			return damaged("block %d has a wrong checksum", n)
		}
	}
	return nil
}

// readTail reads a piece that ends, with its length, at an offset. It returns
// where the piece begins, which must not be before the given offset.
func readTail(f io.ReaderAt, from, end int64) (piece []byte, begin int64, err error) {
	var length [4]byte
	end -= int64(len(length))
	if end < from {
		return nil, 0, damaged("it is too short")
	}
	if _, err := f.ReadAt(length[:], end); errors.Is(err, io.EOF) {
		return nil, 0, damaged("it is too short")
	} else if err != nil {
		return nil, 0, err
	}
	begin = end - int64(binary.BigEndian.Uint32(length[:]))
	if begin < from {
		return nil, 0, damaged("it holds a wrong length")
	}
	piece = make([]byte, end-begin)
	_, err = f.ReadAt(piece, begin)
	return piece, begin, err
}

// fits tells whether a checksum is that of data. It is a message of one field:
// the field's number and type, then a CRC-32C as a varint.
func fits(checksum, data []byte) bool {
	if len(checksum) == 0 || checksum[0] != 0x10 {
		return false
	}
	sum, n := binary.Uvarint(checksum[1:])
	return n == len(checksum)-1 && sum == uint64(crc32.Checksum(data, castagnoli))
}
