package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/conclave-dev/conclave/pkg/raft"
	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

// metrics is what /metrics shows: gauges read from the node at each scrape, and
// what the log reports as it happens.
type metrics struct {
	node     *node
	registry *prometheus.Registry
	sync     prometheus.Histogram
	entries  prometheus.Counter
	bytes    prometheus.Counter
}

func newMetrics(n *node) *metrics {
	m := &metrics{
		node:     n,
		registry: prometheus.NewRegistry(),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "conclave_log_sync_seconds",
			Help:    "Time until a batch of the log was on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		entries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conclave_log_entries_total", Help: "Entries written to the log.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conclave_log_bytes_total", Help: "Bytes written to the log, without the storage's own overhead.",
		}),
	}
	m.registry.MustRegister(m.sync, m.entries, m.bytes, m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// saved takes the log's report of one batch.
func (m *metrics) saved(r badgerlog.SaveReport) {
	m.sync.Observe(r.Sync.Seconds())
	m.entries.Add(float64(r.Entries))
	m.bytes.Add(float64(r.Bytes))
}

// gauge is a value that is read at each scrape.
type gauge struct {
	desc *prometheus.Desc
	of   func(*raft.Status) float64
}

func newGauge(name, help string, of func(*raft.Status) float64) gauge {
	return gauge{desc: prometheus.NewDesc(name, help, nil, nil), of: of}
}

var coreGauges = []gauge{
	newGauge("conclave_raft_term", "Current term.", func(s *raft.Status) float64 { return float64(s.Term) }),
	newGauge("conclave_raft_is_leader", "1 on the leader.", func(s *raft.Status) float64 { return boolean(s.Role == raft.Leader) }),
	newGauge("conclave_raft_has_leader", "1 while a leader is known.", func(s *raft.Status) float64 { return boolean(s.Leader != raft.NoMember) }),
	newGauge("conclave_raft_commit_index", "Last index known to be committed.", func(s *raft.Status) float64 { return float64(s.Committed) }),
	newGauge("conclave_raft_durable_index", "Last index on this node's disk.", func(s *raft.Status) float64 { return float64(s.Durable) }),
	newGauge("conclave_raft_last_index", "Last index of the log.", func(s *raft.Status) float64 { return float64(s.Last) }),
	newGauge("conclave_raft_first_index", "First index that the log still holds.", func(s *raft.Status) float64 { return float64(s.Base + 1) }),
	newGauge("conclave_raft_snapshot_index", "Index of the newest snapshot.", func(s *raft.Status) float64 { return float64(s.SnapshotIndex) }),
	newGauge("conclave_raft_voters", "Voting members.", func(s *raft.Status) float64 { return float64(len(s.Membership.Voters)) }),
}

var (
	readyDesc    = prometheus.NewDesc("conclave_ready", "1 while the node is ready for clients.", nil, nil)
	appliedDesc  = prometheus.NewDesc("conclave_raft_applied_index", "Last index applied to the store.", nil, nil)
	droppedDesc  = prometheus.NewDesc("conclave_raft_received_dropped_total", "Messages dropped because too many waited.", nil, nil)
	revisionDesc = prometheus.NewDesc("conclave_store_revision", "Revision of the store on this node.", nil, nil)
)

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range coreGauges {
		ch <- g.desc
	}
	for _, d := range []*prometheus.Desc{readyDesc, appliedDesc, droppedDesc, revisionDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A node without a replica has no Raft
// metrics yet.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(d, t, v)
	}
	ready, _ := operations{m.node}.Ready()
	send(readyDesc, prometheus.GaugeValue, boolean(ready))
	send(revisionDesc, prometheus.GaugeValue, float64(m.node.store.Revision()))
	running := m.node.replicator.replica.Load()
	if running == nil {
		return
	}
	send(appliedDesc, prometheus.GaugeValue, float64(running.Applied()))
	send(droppedDesc, prometheus.CounterValue, float64(running.Dropped()))
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := running.Status(ctx)
	if err != nil {
		return
	}
	for _, g := range coreGauges {
		send(g.desc, prometheus.GaugeValue, g.of(&s))
	}
}
