package badgerlog

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// ErrNotFormatted says that a directory holds no member yet: it is empty or
// doesn't exist. Format makes it one; nothing else gives this error.
var ErrNotFormatted = errors.New("the data directory is not formatted")

// Identity is who a member is, for as long as its data directory lives.
type Identity struct {
	// Member is the ID that was drawn when the directory was formatted.
	Member raft.MemberID
	// ClusterID names the cluster that the directory belongs to: 1 to 128
	// bytes.
	ClusterID string
	// Name is the node's name: 1 to 253 bytes.
	Name string
}

const (
	identityFile = "identity"
	// identityFormat is the version of the whole directory's layout.
	identityFormat = 2
	identityTitle  = "conclave data directory, format "
	// identityBytesMax bounds what is read of a file that claims to be one.
	identityBytesMax = 4 << 10

	clusterIDBytesMax = 128
	nameBytesMax      = 253
)

// Validate tells whether the identity is complete.
func (id Identity) Validate() error {
	switch {
	case id.Member == raft.NoMember:
		return errors.New("identity: the member ID is missing")
	case id.ClusterID == "" || len(id.ClusterID) > clusterIDBytesMax:
		return fmt.Errorf("identity: the cluster ID %q is not 1 to %d bytes long", id.ClusterID, clusterIDBytesMax)
	case id.Name == "" || len(id.Name) > nameBytesMax:
		return fmt.Errorf("identity: the name %q is not 1 to %d bytes long", id.Name, nameBytesMax)
	}
	return nil
}

// NewMemberID draws a member ID. Two directories never get the same one, which
// is what makes a wiped disk a new member.
func NewMemberID() raft.MemberID {
	for {
		var b [8]byte
		rand.Read(b[:]) // Never fails; the program would have been stopped.
		if id := raft.MemberID(binary.BigEndian.Uint64(b[:])); id != raft.NoMember {
			return id
		}
	}
}

// Format makes dir the data directory of a new member. It creates dir when
// needed, refuses one that holds anything, and returns when the identity is
// durable. A directory is formatted once; there is no way back but to empty it.
func Format(dir string, id Identity) error {
	if err := id.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	switch old, err := ReadIdentity(dir); {
	case err == nil:
		return fmt.Errorf("data directory %s already belongs to member %s of cluster %q", dir, old.Member, old.ClusterID)
	case !errors.Is(err, ErrNotFormatted):
		return err
	}
	lock, err := lockDirectory(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	// Another process may have formatted it since.
	if old, err := ReadIdentity(dir); err == nil {
		return fmt.Errorf("data directory %s already belongs to member %s of cluster %q", dir, old.Member, old.ClusterID)
	}
	// The identity comes last: a directory that has one is complete.
	err = errors.Join(
		replaceFile(filepath.Join(dir, startsFile), renderStarts(0)),
		formatWatermark(dir, id))
	if err == nil {
		err = replaceFile(filepath.Join(dir, identityFile), id.render())
	}
	if err != nil {
		return fmt.Errorf("format data directory %s: %w", dir, err)
	}
	return nil
}

// ReadIdentity tells whose directory dir is. It changes nothing and needs no
// lock. The error is ErrNotFormatted when dir is missing or empty.
func ReadIdentity(dir string) (Identity, error) {
	path := filepath.Join(dir, identityFile)
	data, err := readAtMost(path, identityBytesMax)
	if errors.Is(err, os.ErrNotExist) {
		return Identity{}, withoutIdentity(dir)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read identity of data directory %s: %w", dir, err)
	}
	id, err := parseIdentity(string(data))
	if err != nil {
		return Identity{}, fmt.Errorf("identity file %s: %w", path, err)
	}
	return id, nil
}

// withoutIdentity says what a directory without an identity file is.
func withoutIdentity(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read data directory: %w", err)
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == recoveryReady }) {
		return fmt.Errorf("a recovery of data directory %s was interrupted: the same command, node recover, finishes it", dir)
	}
	for _, e := range entries {
		switch e.Name() {
		case "lost+found": // A fresh ext4 volume has one.
		case lockFile, startsFile, startsFile + temporary, watermarkName, watermarkName + temporary, identityFile + temporary: // A Format that didn't finish.
		default:
			return fmt.Errorf("directory %s holds %q but no identity file, so it is not a data directory: "+
				"name an empty directory, or restore the identity file", dir, e.Name())
		}
	}
	return fmt.Errorf("%s: %w", dir, ErrNotFormatted)
}

// render returns the identity file: lines that a person can read, and the
// checksum of all lines before it as the last.
func (id Identity) render() []byte {
	text := fmt.Sprintf("%s%d\nmember %s\ncluster %q\nname %q\n",
		identityTitle, identityFormat, id.Member, id.ClusterID, id.Name)
	return fmt.Appendf(nil, "%scrc %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// parseIdentity reads what render wrote, and nothing else.
func parseIdentity(text string) (Identity, error) {
	var lines []string
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], identityTitle) {
		return Identity{}, errors.New("it is not the identity of a data directory")
	}
	format, err := strconv.Atoi(strings.TrimPrefix(lines[0], identityTitle))
	if err == nil && format > identityFormat {
		return Identity{}, fmt.Errorf("the directory has format %d and this program knows formats up to %d: run a newer version",
			format, identityFormat)
	}
	if err == nil && format < identityFormat {
		return Identity{}, fmt.Errorf("the directory has format %d, of a version before the first release, and this program knows format %d only: "+
			"empty the directory to begin anew", format, identityFormat)
	}
	var id Identity
	var member string
	if len(lines) == 5 {
		_, err = fmt.Sscanf(strings.Join(lines[1:4], "\n"), "member %s\ncluster %q\nname %q", &member, &id.ClusterID, &id.Name)
	}
	if err == nil {
		id.Member, err = raft.ParseMemberID(member)
	}
	// Comparing with the only bytes that render could have written verifies
	// the checksum and everything that scanning was lenient about.
	if err != nil || text != string(id.render()) {
		return Identity{}, fmt.Errorf("%w: restore the file from a copy, or replace the member", ErrDamaged)
	}
	return id, nil
}
