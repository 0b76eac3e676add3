package httpapi

import (
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	duration *prometheus.HistogramVec
}

// newMetrics registers them; a nil registerer keeps them private (tests).
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "ergon_http_request_duration_seconds",
		Help:    "Time from the first byte of a request to the last of its answer, by route pattern.",
		Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"method", "route", "status"})}
	if reg != nil {
		reg.MustRegister(m.duration)
	}
	return m
}

func (m *metrics) observe(c *gin.Context, took time.Duration) {
	method := c.Request.Method
	if operationOf(c) == nil {
		method = "other" // methods are chosen by the client: one series, not one a word
	}
	m.duration.WithLabelValues(method, routeOf(c), strconv.Itoa(c.Writer.Status())).Observe(took.Seconds())
}
