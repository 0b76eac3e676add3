package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/queue"
	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
)

// InsightConfig joins the analysis with the tariffs and the site's files; server and admin commands have to analyse alike.
func (b *Base) InsightConfig(deps Deps) (insight.Config, error) {
	return insightConfig(b.Store, b.clusterDir, deps)
}

// fetchTimeout bounds one round: the first of SMARD's reads some ten weeks.
const fetchTimeout = 30 * time.Minute

// fetchTasks are the upkeep that fetches prices and carbon intensity; none where no address is configured.
func (b *builder) fetchTasks() ([]queue.Task, error) {
	var feeds []tariff.Feed
	for _, f := range []tariff.Feed{
		{Key: tariff.Key{Kind: tariff.Price}, Unit: b.cfg.Insight.PricesCurrency, URL: b.cfg.Insight.PricesURL.Reveal()},
		{Key: tariff.Key{Kind: tariff.Carbon}, Unit: tariff.Gram, URL: b.cfg.Insight.CarbonURL.Reveal()},
	} {
		if f.URL != "" {
			feeds = append(feeds, f)
		}
	}
	if len(feeds) == 0 {
		return nil, nil
	}
	if b.cfg.Insight.FetchEvery < time.Minute {
		return nil, errors.New("ERGON_INSIGHT_FETCH_EVERY: must be at least 1m")
	}
	store, reports := gormstore.NewTariffs(b.store), gormstore.NewInsight(b.store)
	f, err := tariff.NewFetcher(tariff.New(store, b.deps.Now), feeds, tariff.FetchDeps{
		Store: store, States: store, Now: b.deps.Now, Log: b.deps.Log,
		Changed: func(ctx context.Context, from, to time.Time) error {
			return reports.MarkDueBetween(ctx, from, to, b.deps.Now())
		},
	})
	if err != nil {
		return nil, fmt.Errorf("ERGON_INSIGHT_PRICES_URL, ERGON_INSIGHT_CARBON_URL: %w", err)
	}
	return []queue.Task{{Name: "tariffs", Every: b.cfg.Insight.FetchEvery, Timeout: fetchTimeout, Run: f.Run}}, nil
}

// refreshEvery is short: each round makes only so many reports due as fit beside the rest, and costs one look into an index
// when there are none.
const refreshEvery = time.Minute

// addRefresh registers the task that makes the reports of an older version again after an upgrade.
func (b *builder) addRefresh(reports *insight.Service) {
	b.tasks = append(b.tasks, queue.Task{Name: "refresh", Every: refreshEvery, Timeout: time.Hour, Run: func(ctx context.Context) error {
		n, err := reports.Refresh(ctx)
		if n > 0 {
			b.deps.Log.InfoContext(ctx, "reports of an older analysis are made again", "jobs", n)
		}
		return err
	}})
}

func insightConfig(store *gormstore.Store, clusterDir string, deps Deps) (insight.Config, error) {
	c := insight.Config{Tariffs: tariff.New(gormstore.NewTariffs(store), deps.Now)}
	if clusterDir == "" {
		return c, nil
	}
	var err error
	if c.Sites, err = insight.ReadSites(os.DirFS(clusterDir)); err != nil {
		return c, fmt.Errorf("ERGON_INSIGHT_CLUSTER_DIR: %w", err)
	}
	return c, nil
}
