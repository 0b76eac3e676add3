package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/queue"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// wireJobs joins ingest, reports and the queue. (CP3 owns this file.)
func (b *builder) wireJobs(ctx context.Context) error {
	var profiles insight.ProfileSource
	if b.storage != nil {
		profiles = storedProfiles{b.storage}
	}
	settings, err := insightConfig(b.store, b.cfg.Insight.ClusterDir, b.deps)
	if err != nil {
		return err
	}
	reports := insight.New(gormstore.NewInsight(b.store), profiles, b.deps.Now, b.deps.Log, settings)
	rows := gormstore.NewJobs(b.store)
	b.addObjections(rows)
	b.addRefresh(reports)
	if err := b.addRetirement(rows); err != nil {
		return err
	}
	q, err := b.openQueue(ctx, reports)
	if err != nil {
		return err
	}
	b.queue = q
	b.closeLast(q.Close)
	b.run("queue", q.Run)
	service := jobs.New(rows, rows, b.deps.Now, q.Hint)
	service.Intake(intake(b.cfg.Ingest))
	service.OnSeen(suspendsLinks(b.ids))
	if b.storage != nil {
		b.storage.Observe(profileObserver{reports, q})
	}
	if b.handlers.AgentIdentity != nil {
		b.handlers.AgentIdentity = adopting{b.handlers.AgentIdentity, service}
	}
	objector := jobs.NewObjector(rows, b.audit, b.deps.Now, q.Hint)
	b.handlers.Jobs, b.handlers.AgentJobs = httpapi.NewJobs(service, reports, rows, b.deps.Now), httpapi.NewAgentJobs(service, objector)
	return nil
}

func (b *builder) openQueue(ctx context.Context, work queue.Analyser) (*queue.Queue, error) {
	cfg := queueConfig(b.store, b.deps)
	cfg.Workers, cfg.Sweep, cfg.Disabled = b.cfg.Queue.Workers, b.cfg.Queue.Sweep, b.cfg.Queue.Disabled
	fetches, err := b.fetchTasks()
	if err != nil {
		return nil, err
	}
	cfg.Tasks = append(b.tasks, fetches...) //nolint:gocritic // the tasks of all features, and these
	if b.cfg.Database.AutoMigrate {
		if err := queue.Migrate(ctx, cfg); err != nil {
			return nil, err
		}
	}
	return queue.New(ctx, cfg, work)
}

func queueConfig(s *gormstore.Store, deps Deps) queue.Config {
	return queue.Config{PostgresURL: s.PostgresURL(), SQLite: s.SQL(), Log: deps.Log}
}

// MigrateQueue makes or updates the tables of the queue; the role migrate calls it after the schema's own migrations.
func (b *Base) MigrateQueue(ctx context.Context, deps Deps) error {
	return queue.Migrate(ctx, queueConfig(b.Store, deps))
}

// storedProfiles reads profiles from the object store. The caller bounds what it reads.
type storedProfiles struct{ storage *storage.Service }

func (s storedProfiles) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	body, err := s.storage.Bytes.Open(ctx, key)
	if errors.Is(err, storage.ErrNoObject) {
		return nil, insight.ErrGone
	}
	return body, err
}

// profileObserver makes the analysis of a job due when a profile of it was stored.
type profileObserver struct {
	reports *insight.Service
	queue   *queue.Queue
}

func (o profileObserver) Stored(ctx context.Context, obj storage.Object) error {
	if obj.Class != storage.ClassProfile || obj.Job == nil {
		return nil
	}
	if err := o.reports.ProfileStored(ctx, obj.Job.ID); err != nil {
		return fmt.Errorf("noting a stored profile: %w", err)
	}
	o.queue.Hint(ctx)
	return nil
}

// adopting gives the jobs of a unix user to the account that was linked to it.
type adopting struct {
	httpapi.AgentIdentity
	jobs *jobs.Service
}

// ConfirmLink links, then adopts. The agent repeats the call when adopting fails, and gets the same link.
func (a adopting) ConfirmLink(ctx context.Context, r agentapi.ConfirmLinkRequestObject) (agentapi.ConfirmLinkResponseObject, error) {
	res, err := a.AgentIdentity.ConfirmLink(ctx, r)
	link, made := res.(agentapi.ConfirmLink201JSONResponse)
	if err != nil || !made {
		return res, err
	}
	p, err := principal.AgentFrom(ctx)
	if err != nil {
		return nil, err
	}
	if link.UserId == uuid.Nil {
		return nil, errors.New("the new link names no account")
	}
	_, err = a.jobs.AdoptLinked(ctx, jobs.Link{ClusterID: p.ClusterID, UID: link.Uid, UnixName: link.UnixName, UserID: link.UserId})
	if err != nil {
		return nil, fmt.Errorf("giving jobs to the linked account: %w", err)
	}
	return res, nil
}
