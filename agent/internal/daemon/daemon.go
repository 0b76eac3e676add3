package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
	"github.com/ergon-hpc/ergon/agent/internal/track"
	"github.com/ergon-hpc/ergon/shared/api"
)

// Options of a Daemon.
type Options struct {
	Config config.Config
	// System is the mode for all users of a node; otherwise the agent serves User alone.
	System bool
	// Self is who the daemon runs as.
	Self    cloud.Peer
	Version string
	// Environ is the daemon's own environment, for Slurm's commands.
	Environ []string
	// Listener is the socket when it was made by somebody else (the spawner, systemd); nil makes one.
	Listener net.Listener
	// Helpers starts a process of a user, to ask Slurm what it hides from us; nil cannot.
	Helpers Helpers
	// Worker does the file work; nil means that nothing is collected here.
	Worker outputs.Worker
	// Name asks for a user's name by uid; its answers are remembered.
	Name func(ctx context.Context, uid uint32) (string, error)
	// Place finds a user's home and group; nil looks into no home.
	Place func(ctx context.Context, uid uint32) (Place, error)
	// Crash is nil outside crash tests.
	Crash journal.Crash
	// Ages is zero outside crash tests: there the waits are those of the product.
	Ages Ages
	// Notify tells a service manager "READY=1" and the like; nil tells nobody. Watchdog is its interval, 0 for none.
	Notify   func(state string)
	Watchdog time.Duration
	Log      *slog.Logger
	Now      func() time.Time
}

// Daemon is a running agent.
type Daemon struct {
	opt     Options
	journal *journal.Journal
	slurm   *slurm.Runner
	tracker *track.Tracker
	sampler *track.Sampler
	metrics *metrics

	client  atomic.Pointer[cloud.Client]
	id      atomic.Pointer[enrol.Identity]
	links   atomic.Pointer[map[uint32]api.Link]
	revoked atomic.Bool
	facts   atomic.Pointer[clusterFacts]
	beat    atomic.Int64 // unix seconds of the polling loop's last turn

	turn uint64 // of the users who are asked for, when Slurm hides their jobs; only the polling loop uses it

	pollNow chan struct{}
	capture chan journal.Submission
	unnamed chan journal.Submission
	names   *names
	busy    sync.Map // journal.JobKey of uploads under way, with its outputs.Progress

	linking sync.Mutex           // one answer of the server at a time; guards settled
	settled *map[uint32]api.Link // the links that have been acted on and stored

	logins logins // by unix identity
}

// stopWithin bounds a graceful stop.
const stopWithin = 18 * time.Second

// Run runs the agent until ctx ends, or until something fails that the agent cannot live with.
func Run(ctx context.Context, opt Options) (err error) {
	d, err := open(ctx, opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.journal.Close()) }()
	listener := opt.Listener
	if listener == nil {
		if listener, err = server.Listen(ctx, opt.Config.Socket); err != nil {
			return err
		}
	}
	return d.loops(ctx, listener)
}

func open(ctx context.Context, opt Options) (*Daemon, error) {
	if opt.Notify == nil {
		opt.Notify = func(string) {}
	}
	d := &Daemon{
		opt: opt, metrics: newMetrics(), pollNow: make(chan struct{}, 1), capture: make(chan journal.Submission, 1024), unnamed: make(chan journal.Submission, 64), names: newNames(opt.Name, opt.Now),
	}
	var err error
	d.slurm, err = slurm.NewRunner(slurm.Options{
		BinDir: opt.Config.Slurm.BinDir, Env: d.slurmEnv(), Timeout: opt.Config.Slurm.Timeout, Observer: d.metrics, Log: opt.Log,
		Now: opt.Now, Rand: rand.Reader, PerMinute: map[string]float64{
			"squeue": opt.Config.Slurm.SqueuePerMinute, "sacct": opt.Config.Slurm.SacctPerMinute, "scontrol": opt.Config.Slurm.ScontrolPerMinute, "sstat": max(opt.Config.Slurm.SstatPerMinute, 1),
		},
	})
	if err != nil {
		return nil, err
	}
	d.journal, err = journal.Open(ctx, journal.Options{Dir: opt.Config.StateDir, Now: opt.Now, Log: opt.Log, Crash: opt.Crash})
	if err != nil {
		return nil, err
	}
	if err := d.loadIdentity(); err != nil && !errors.Is(err, enrol.ErrNotEnrolled) {
		return nil, errors.Join(err, d.journal.Close())
	}
	if err := d.loadLinks(ctx); err != nil {
		return nil, errors.Join(err, d.journal.Close())
	}
	d.tracker = track.New(track.Options{
		Cluster: d.cluster, Views: d.views, Slurm: &asker{d: d}, Journal: d.journal, Sink: d, Tell: d.tell, Upload: d.mayUpload,
		Log: opt.Log, Now: opt.Now, Timing: opt.timing(),
	})
	d.sampler = track.NewSampler(track.SamplerOptions{
		Meter: &asker{d: d}, Journal: d.journal, Sink: d, Tell: d.tell, As: d.sampleAs, Now: opt.Now, Every: d.sampleEvery(),
	})
	d.metrics.watch(d.journal)
	return d, nil
}

func (d *Daemon) slurmEnv() []string {
	if d.opt.Config.Slurm.Conf == "" {
		return d.opt.Environ
	}
	return append(append([]string{}, d.opt.Environ...), "SLURM_CONF="+d.opt.Config.Slurm.Conf)
}

// loops runs everything and waits for all of it.
func (d *Daemon) loops(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	only := -1
	if !d.opt.System {
		only = int(d.opt.Self.UID)
	}
	var wg sync.WaitGroup
	start := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	start("socket", func(ctx context.Context) error {
		return server.Serve(ctx, listener, server.Options{
			Backend: (*backend)(d), Log: d.opt.Log, OnlyUID: only, Now: d.opt.Now, Token: d.Token, Objections: (*objections)(d),
		})
	})
	start("metrics", d.serveMetrics)
	start("polling", d.pollLoop)
	start("capture", d.captureLoop)
	start("names", d.nameLoop)
	start("server", d.serverLoop)
	start("events", d.drainLoop)
	start("uploads", d.uploadLoop)
	start("facts", d.factsLoop)
	start("watchdog", d.watchdogLoop)
	start("pressure", d.pressureLoop)
	start("pruning", d.pruneLoop)
	start("samples", d.sampleLoop)
	d.opt.Log.Info("agent is running", "version", d.opt.Version, "socket", listener.Addr().String(), "state_dir", d.opt.Config.StateDir, "enrolled", d.id.Load() != nil)
	d.opt.Notify("READY=1")
	<-ctx.Done()
	d.opt.Notify("STOPPING=1")
	d.opt.Log.Info("agent is stopping")
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		cause = nil
	}
	return errors.Join(cause, waitFor(&wg))
}

var errSlowStop = errors.New("something did not end in time; the journal is safe, the next start continues")

func waitFor(wg *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(stopWithin):
		return errSlowStop
	}
}

// sleep waits, or gives false when ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// httpTimeout bounds one request to the control plane.
const httpTimeout = 60 * time.Second

// cluster is the name that untagged job ids are made with.
func (d *Daemon) cluster() string {
	if d.opt.Config.Cluster != "" {
		return d.opt.Config.Cluster
	}
	if id := d.id.Load(); id != nil {
		return id.Cluster
	}
	return ""
}

// errNoServer says that there is nobody to send to yet.
var errNoServer = errors.New("not enrolled")

// Accounting implements track.Sink.
func (d *Daemon) Accounting(ctx context.Context, columns []string, rows [][]string) error {
	c := d.client.Load()
	if c == nil {
		return errNoServer
	}
	return c.Accounting(ctx, columns, rows)
}

// Samples implements track.SampleSink.
func (d *Daemon) Samples(ctx context.Context, at time.Time, columns []string, rows [][]string) error {
	c := d.client.Load()
	if c == nil {
		return errNoServer
	}
	return c.Samples(ctx, at, columns, rows)
}
