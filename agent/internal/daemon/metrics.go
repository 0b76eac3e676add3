package daemon

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are served on loopback when the site asks for them.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	waiting  prometheus.Gauge
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ergon_agent_slurm_calls_total", Help: "Calls of Slurm's commands by outcome; fault is empty for success."}, []string{"command", "fault"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ergon_agent_slurm_call_seconds", Help: "How long Slurm's commands took.", Buckets: []float64{.05, .2, 1, 2, 5, 10, 30}}, []string{"command"}),
	}
	m.waiting = prometheus.NewGauge(prometheus.GaugeOpts{Name: "ergon_agent_slurmdbd_queue", Help: "Messages of slurmctld that wait for slurmdbd, as sdiag last said."})
	m.waiting.Set(math.NaN()) // not asked yet
	m.registry.MustRegister(m.calls, m.seconds, m.waiting)
	return m
}

// SlurmCall implements slurm.Observer.
func (m *metrics) SlurmCall(command string, fault slurmfmt.Fault, took time.Duration) {
	m.calls.WithLabelValues(command, string(fault)).Inc()
	m.seconds.WithLabelValues(command).Observe(took.Seconds())
}

// watch exports what the journal holds, read when somebody asks.
func (m *metrics) watch(j *journal.Journal) { m.registry.MustRegister(&journalCollector{journal: j}) }

type journalCollector struct{ journal *journal.Journal }

var (
	jobsDesc   = prometheus.NewDesc("ergon_agent_jobs", "Attempts in the journal by state.", []string{"state"}, nil)
	outboxDesc = prometheus.NewDesc("ergon_agent_outbox_events", "Events that wait for the control plane.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *journalCollector) Describe(ch chan<- *prometheus.Desc) { ch <- jobsDesc; ch <- outboxDesc }

// Collect implements prometheus.Collector. What cannot be read is left out, not reported as 0.
func (c *journalCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if counts, err := c.journal.Counts(ctx); err == nil {
		for state, n := range counts {
			ch <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(n), string(state))
		}
	}
	if events, _, err := c.journal.OutboxSize(ctx); err == nil {
		ch <- prometheus.MustNewConstMetric(outboxDesc, prometheus.GaugeValue, float64(events))
	}
}

func (d *Daemon) serveMetrics(ctx context.Context) error {
	if d.opt.Config.MetricsListen == "" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", d.opt.Config.MetricsListen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.metrics.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 60 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
