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

// StorageDisk is what outlives the storages that are opened on it, one at a
// time.
type StorageDisk interface {
	// Open opens the storage, new or as the last one left it.
	Open() (OpenedStorage, error)
	// Crash ends the open storage as a killed process ends: nothing more of
	// what it does reaches the disk.
	Crash() error
}
