package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

// RecoverOptions say what Recover is to do. DataDir is always required, the others
// when something is to be changed.
type RecoverOptions struct {
	// DataDir is the data directory of the survivor, which must be stopped.
	DataDir string
	// ClusterID is the new cluster's ID, 32 hexadecimal digits.
	ClusterID string
	// Address is host:port at which peers reach the survivor. Default: what its
	// log says.
	Address string
	// Confirm repeats DataDir, and AcceptDataLoss tells that it is understood
	// that what the survivor doesn't hold is lost.
	Confirm        string
	AcceptDataLoss bool
	// Logger takes what an operator should know. Default slog.Default().
	Logger *slog.Logger
}

// RecoveryPlan is what a recovery would start from, and what it would lose.
type RecoveryPlan struct {
	Name, MemberID, ClusterID string
	// LastIndex and LastTerm are of the last entry of the survivor's log, and
	// CommitIndex is what it knows to be committed.
	LastIndex, LastTerm, CommitIndex uint64
	// MissingIndex, unless 0, is an entry of MissingTerm up to which the survivor
	// had acknowledged what its disk has lost.
	MissingIndex, MissingTerm uint64
	// Parked tells that the survivor's state differed from the others', so what it holds
	// may be wrong.
	Parked bool
	// Self is the survivor in the membership that its log ends with, and Gone
	// all others.
	Self raft.Member
	Gone []raft.Member
	// Done is set when the directory is that of the new cluster already.
	Done bool
}

// PlanRecovery opens the data directory of a stopped member, as a start would,
// and tells what a recovery from it would mean.
func PlanRecovery(o RecoverOptions) (plan RecoveryPlan, err error) {
	if o.DataDir == "" {
		return plan, errors.New("data-dir: is missing")
	}
	log, err := badgerlog.Open(o.DataDir, badgerlog.Options{Logger: o.logger()})
	if err != nil {
		return plan, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	identity, state := log.Identity(), log.State()
	plan = RecoveryPlan{
		Name: identity.Name, MemberID: identity.Member.String(), ClusterID: identity.ClusterID,
		LastIndex: uint64(state.Last), CommitIndex: uint64(max(state.HardState.Commit, state.Snapshot.Index)),
		Self: raft.Member{ID: identity.Member, Name: identity.Name}, Done: identity.ClusterID == o.ClusterID,
	}
	if state.Last == 0 || len(state.Memberships) == 0 {
		return plan, fmt.Errorf("data directory %s holds no log: there is nothing to recover from", o.DataDir)
	}
	plan.LastTerm = uint64(state.Terms[len(state.Terms)-1].Term)
	plan.Parked = state.HardState.Parked
	if state.Faulty {
		plan.MissingIndex, plan.MissingTerm = uint64(state.Watermark.Index), uint64(state.Watermark.Term)
	}
	for _, m := range state.Memberships[len(state.Memberships)-1].Membership.Members {
		if m.ID == identity.Member {
			plan.Self = m
		} else {
			plan.Gone = append(plan.Gone, m)
		}
	}
	return plan, nil
}

// Recover makes the survivor the only member of a new cluster, with all that its
// log holds, under a new member ID. The members of the old cluster can't reach it
// any more. It is done once: for a directory that belongs to the new cluster
// already, nothing happens.
func Recover(ctx context.Context, o RecoverOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	identity, err := badgerlog.ReadIdentity(o.DataDir)
	if err == nil && identity.ClusterID == o.ClusterID {
		return nil
	}
	self := raft.Member{ID: badgerlog.NewMemberID(), Address: o.Address}
	if err == nil {
		plan, err := PlanRecovery(o)
		if err != nil {
			return err
		}
		self.Name = plan.Name
		if self.Address == "" {
			self.Address = plan.Self.Address
		}
		if self.Address == "" {
			return errors.New("address: is missing, and the log doesn't tell it: the member was not part of the cluster")
		}
	} else if self.Name, err = badgerlog.Recovering(o.DataDir); err != nil {
		return err
	}
	command := config.Recover{TimeMicros: uint64(time.Now().UnixMicro())}
	data, err := command.Encode()
	if err != nil {
		return err
	}
	to := badgerlog.Identity{Member: self.ID, ClusterID: o.ClusterID, Name: self.Name}
	err = badgerlog.Recover(ctx, o.DataDir, to, badgerlog.Options{Logger: o.logger()}, func(state raft.State, term raft.Term) []raft.Entry {
		alone := raft.NewMembership(self)
		return []raft.Entry{
			{Index: state.Last + 1, Term: term, Kind: raft.EntryMembership, Membership: &alone},
			{Index: state.Last + 2, Term: term, Kind: raft.EntryCommand, Data: data},
		}
	})
	if err != nil {
		return err
	}
	o.logger().Warn("the member was recovered as the only one of a new cluster", "dir", o.DataDir, "cluster", o.ClusterID)
	return nil
}

// validate tells everything that is missing before data may be given up.
func (o *RecoverOptions) validate() error {
	var errs []error
	if o.DataDir == "" {
		errs = append(errs, errors.New("data-dir: is missing"))
	}
	if !isClusterID(o.ClusterID) {
		errs = append(errs, fmt.Errorf("cluster-id: %q is not 32 hexadecimal digits", o.ClusterID))
	}
	if o.Address != "" && !isPeerAddress(o.Address) {
		errs = append(errs, fmt.Errorf("address: %q is not host:port", o.Address))
	}
	if filepath.Clean(o.Confirm) != filepath.Clean(o.DataDir) {
		errs = append(errs, fmt.Errorf("confirm: repeat the data directory, %s", o.DataDir))
	}
	if !o.AcceptDataLoss {
		errs = append(errs, errors.New("accept-data-loss: everything that this member doesn't hold will be lost; say that this is accepted"))
	}
	return errors.Join(errs...)
}

func (o *RecoverOptions) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.Default()
	}
	return o.Logger
}

// NewClusterID draws an ID for a new cluster.
func NewClusterID() string {
	var b [16]byte
	rand.Read(b[:]) // Never fails; the program would have been stopped.
	return hex.EncodeToString(b[:])
}
