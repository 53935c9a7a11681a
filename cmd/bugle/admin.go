package main

import (
	"context"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// meters are the counters that rooms report to; gauges are read when they are asked for. Every name begins with bugle_.
type meters struct {
	registry *prometheus.Registry
	panics   *prometheus.CounterVec
	missing  prometheus.Counter
	ended    *prometheus.CounterVec

	hooks, hookMoves *prometheus.CounterVec
	hookTime         prometheus.Histogram
}

func newMeters() *meters {
	m := &meters{registry: prometheus.NewRegistry(),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bugle_panics_total",
			Help: "Panics that were contained, by room; each is a defect."}, []string{"room"}),
		missing: prometheus.NewCounter(prometheus.CounterOpts{Name: "bugle_speech_missing_total",
			Help: "Prompts and texts that could not be said."}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bugle_calls_ended_total",
			Help: "Calls that are over, by cause and by whose fault it was."}, []string{"cause", "fault"}),
		hooks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bugle_webhook_attempts_total",
			Help: "Attempts at deliveries of webhooks: delivered, failed, or dead for the last of one that is given up."}, []string{"kind", "outcome"}),
		hookMoves: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bugle_webhook_transitions_total",
			Help: "Endpoints of webhooks that were blacklisted, recovered, switched off or gone."}, []string{"kind", "transition"}),
		hookTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "bugle_webhook_attempt_seconds",
			Help: "How long attempts took.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 10)})}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.panics, m.missing, m.ended, m.hooks, m.hookMoves, m.hookTime)
	return m
}

// gauge adds a figure that is read when it is asked for.
func (m *meters) gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// counter adds a count that a room keeps itself.
func (m *meters) counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// onPanic returns the hook of one room.
func (m *meters) onPanic(room string) func(any) {
	counter := m.panics.WithLabelValues(room)
	return func(any) { counter.Inc() }
}

// adminHandler serves what the operator looks at. It belongs on an address that only the operator reaches.
func adminHandler(m *meters, draining *atomic.Bool, ping func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		switch err := ping(ctx); {
		case draining.Load():
			http.Error(w, "draining: no new calls are taken", http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte("ready\n"))
		}
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
