package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/conclave-dev/conclave/pkg/raft/badgerlog"
)

// metrics is what /metrics shows: values read from the node at each scrape, and
// what the log and the client port report as it happens. docs/metrics.md lists
// them all.
type metrics struct {
	node         *node
	registry     *prometheus.Registry
	sync         prometheus.Histogram
	batchEntries prometheus.Histogram
	entries      prometheus.Counter
	bytes        prometheus.Counter
	requests     *prometheus.HistogramVec
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
		batchEntries: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "conclave_log_batch_entries",
			Help:    "Entries in a batch of the log.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 14),
		}),
		entries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conclave_log_entries_total", Help: "Entries written to the log.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "conclave_log_bytes_total", Help: "Bytes written to the log, without the storage's own overhead.",
		}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "conclave_http_request_seconds",
			Help:    "Time from a client's request to the end of the reply.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
		}, []string{"route", "method", "status"}),
	}
	m.registry.MustRegister(m.sync, m.batchEntries, m.entries, m.bytes, m.requests, m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// saved takes the log's report of one batch.
func (m *metrics) saved(r badgerlog.SaveReport) {
	m.sync.Observe(r.Sync.Seconds())
	if r.Entries > 0 {
		m.batchEntries.Observe(float64(r.Entries))
	}
	m.entries.Add(float64(r.Entries))
	m.bytes.Add(float64(r.Bytes))
}

// sample is one kind of value that is read at each scrape.
type sample struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) sample {
	return sample{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) sample {
	return sample{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

// emit hands a value to the one who scrapes.
func (s sample) emit(ch chan<- prometheus.Metric, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(s.desc, s.kind, v, labels...)
}

var (
	readySample    = gauge("conclave_ready", "1 while the node is ready for clients.")
	revisionSample = gauge("conclave_store_revision", "Revision of the store on this node.")
	keysSample     = gauge("conclave_store_keys", "Keys in the store.")
	liveSample     = gauge("conclave_store_live_bytes", "Bytes of the keys and values in the store, as quotas count them.")
)

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector. A node that forms its cluster has
// fewer metrics than one that runs, so they are told by Collect alone.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- readySample.desc }

// Collect implements prometheus.Collector. A node without a replica has no
// metrics of its log, its peers and its part in the cluster yet.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	ready, _ := operations{m.node}.Ready()
	readySample.emit(ch, boolean(ready))
	view := m.node.state.View()
	revisionSample.emit(ch, float64(view.Revision))
	keysSample.emit(ch, float64(view.Keys))
	liveSample.emit(ch, float64(view.LiveBytes))
	m.node.certificates.collect(ch)
	m.node.collectHTTP(ch)
	running := m.node.replicator.replica.Load()
	if running == nil {
		return
	}
	collectReplica(ch, running)
	m.node.collectStorage(ch)
	at := running.Membership()
	m.node.collectPeers(ch, &at.Membership)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s, err := running.Status(ctx); err == nil {
		collectCore(ch, &s)
	}
}
