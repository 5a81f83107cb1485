package rafttest

import (
	"context"
	"io"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// Storage is the Storage that package replica declares, with the same
// contract. It is repeated here so that tests inside that package can use this
// one; the implementations are checked against both.
type Storage interface {
	Save(w *raft.Write) error
	Entries(lo, hi raft.Index, maxBytes int) ([]raft.Entry, error)
	SaveSnapshot(meta raft.SnapshotMeta, write func(io.Writer) error) (first raft.Index, err error)
	OpenSnapshot() (raft.SnapshotMeta, io.ReadCloser, error)
	ReceiveSnapshot(ctx context.Context, meta raft.SnapshotMeta, r io.Reader) error
}

// OpenedStorage is a storage, what it held when it was opened, and its end.
type OpenedStorage struct {
	Storage
	State raft.State
	Close func() error
}

// ForgetfulDisk is a StorageDisk that can lose what its storage has acknowledged,
// as a file system or an LSM tree does that drops its newest records when it finds
// one of them damaged. Both methods are called while no storage is open.
type ForgetfulDisk interface {
	StorageDisk
	// Keep remembers the log as it is.
	Keep() error
	// Forget puts the log back that was kept. What the storage keeps apart from it
	// (its watermark, term and vote) stays as it is.
	Forget() error
}

// StorageDisk is what outlives the storages that are opened on it, one at a
// time.
type StorageDisk interface {
	// Open opens the storage, new or as the last one left it.
	Open() (OpenedStorage, error)
	// Crash ends the open storage as a killed process ends: nothing more of
	// what it does reaches the disk.
	Crash() error
}
