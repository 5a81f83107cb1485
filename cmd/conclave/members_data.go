package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-dev/conclave/internal/admin"
)

// snapshotCommand makes every node that was named write a snapshot.
func (c *council) snapshotCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "snapshot",
		Short:             "Make the nodes named by --ops write a snapshot now, from which their logs can be cut",
		Example:           "  conclave members snapshot --ops http://cfg-0:8402",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              cobra.NoArgs,
		RunE: c.asking(func(ctx context.Context, _ []string) error {
			for _, url := range c.ops {
				snapshot, err := c.client(url).Snapshot(ctx)
				if err != nil {
					return err
				}
				if c.output != outputText {
					err = c.encode(snapshot)
				} else {
					_, err = fmt.Fprintf(c.out, "%s holds a snapshot at index %d\n", url, snapshot.Index)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// verdict is what came of verifying one node.
type verdict struct {
	URL          string              `json:"url"`
	Verification *admin.Verification `json:"verification,omitempty"`
	Error        string              `json:"error,omitempty"`

	err    error
	hashes []admin.StateHash
}

// comparison is what came of comparing the states of the nodes.
type comparison struct {
	// Index is the highest at which nodes can be compared, 0 when there is none,
	// and Nodes how many of them.
	Index uint64 `json:"index"`
	Nodes int    `json:"nodes"`
	// Differ holds the indexes at which nodes hold different states.
	Differ []uint64 `json:"differ,omitempty"`
}

// verifyCommand makes every node that was named read its disk, and compares
// their states.
func (c *council) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "verify",
		Short:             "Make the nodes named by --ops read their whole log and newest snapshot, and compare their states",
		Example:           "  conclave members verify --ops http://cfg-0:8402,http://cfg-1:8402,http://cfg-2:8402",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              cobra.NoArgs,
		RunE: c.asking(func(ctx context.Context, _ []string) error {
			verdicts := c.verifyAll(ctx)
			compared := c.compare(ctx, verdicts)
			if err := c.showVerdicts(verdicts, compared); err != nil {
				return err
			}
			var errs []error
			for _, v := range verdicts {
				errs = append(errs, v.err)
			}
			if len(compared.Differ) > 0 {
				errs = append(errs, &differError{compared.Differ})
			}
			return errors.Join(errs...)
		}),
	}
}

// differError tells that members hold different states.
type differError struct{ indexes []uint64 }

func (e *differError) Error() string {
	return fmt.Sprintf("the nodes hold different states at index %d", e.indexes[0])
}

// verifyAll verifies the nodes side by side.
func (c *council) verifyAll(ctx context.Context) []verdict {
	verdicts := make([]verdict, len(c.ops))
	var all sync.WaitGroup
	for i, url := range c.ops {
		all.Go(func() {
			v := verdict{URL: url}
			if v.Verification, v.err = c.client(url).Verify(ctx); v.err != nil {
				v.Error = v.err.Error()
			} else {
				v.hashes = v.Verification.StateHashes
			}
			verdicts[i] = v
		})
	}
	all.Wait()
	return verdicts
}

// compareTries is how often the states are looked at again until nodes share an
// index: while much is written, each look finds them a little apart.
const compareTries = 10

// compare compares the states at every index that nodes have in common.
func (c *council) compare(ctx context.Context, verdicts []verdict) comparison {
	var result comparison
	for try := range compareTries {
		if result = compareHashes(verdicts); result.Nodes >= len(verdicts) || len(verdicts) < 2 || len(result.Differ) > 0 || try == compareTries-1 {
			break
		}
		select {
		case <-ctx.Done():
			return result
		case <-time.After(membersPause):
		}
		for i := range verdicts {
			if verdicts[i].err != nil {
				continue
			}
			if status, err := c.client(verdicts[i].URL).Status(ctx); err == nil {
				verdicts[i].hashes = append(verdicts[i].hashes, status.StateHashes...)
			}
		}
	}
	return result
}

// compareHashes finds the indexes that nodes share.
func compareHashes(verdicts []verdict) comparison {
	type seen struct {
		hash  string
		nodes map[int]bool
	}
	at := map[uint64]*seen{}
	var result comparison
	for i, v := range verdicts {
		for _, h := range v.hashes {
			s := at[h.Index]
			if s == nil {
				s = &seen{hash: h.Hash, nodes: map[int]bool{}}
				at[h.Index] = s
			}
			s.nodes[i] = true
			if s.hash != h.Hash && !slices.Contains(result.Differ, h.Index) {
				result.Differ = append(result.Differ, h.Index)
			}
			if n := len(s.nodes); n > 1 && (n > result.Nodes || n == result.Nodes && h.Index > result.Index) {
				result.Index, result.Nodes = h.Index, n
			}
		}
	}
	slices.Sort(result.Differ)
	return result
}

// showVerdicts prints what was found.
func (c *council) showVerdicts(verdicts []verdict, compared comparison) error {
	if c.output != outputText {
		return c.encode(map[string]any{"nodes": verdicts, "state": compared})
	}
	table := newTable(c.out) // an error stays until Flush
	fmt.Fprintln(table, "NODE\tENTRIES\tLOG BYTES\tSNAPSHOT\tSNAPSHOT BYTES\tRESULT")
	for _, v := range verdicts {
		if v.err != nil {
			fmt.Fprintf(table, "%s\t-\t-\t-\t-\tFAILED\n", v.URL)
			continue
		}
		w := v.Verification
		fmt.Fprintf(table, "%s\t%d to %d\t%d\t%d\t%d\twhole, read in %d ms\n",
			v.URL, w.FirstIndex, w.LastIndex, w.LogBytes, w.SnapshotIndex, w.SnapshotBytes, w.TookMillis)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	text := "the same"
	switch {
	case len(verdicts) < 2:
		return nil
	case len(compared.Differ) > 0:
		text = "DIFFERENT at " + strings.Trim(fmt.Sprint(compared.Differ), "[]")
	case compared.Nodes == 0:
		_, err := fmt.Fprintln(c.out, "\nState: not compared, no two nodes have told of one index")
		return err
	}
	_, err := fmt.Fprintf(c.out, "\nState: %s, compared on %d nodes up to index %d\n", text, compared.Nodes, compared.Index)
	return err
}
