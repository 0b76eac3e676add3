package main

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
)

// analyseDue works through all reports that are due, as the server would.
func analyseDue(ctx context.Context, base *app.Base, deps app.Deps, bar *progress) (int, error) {
	settings, err := base.InsightConfig(deps)
	if err != nil {
		return 0, err
	}
	reports := insight.New(gormstore.NewInsight(base.Store), nil, deps.Now, deps.Log, settings)
	w, err := reports.AnalyseDue(ctx, func(n int) { bar.show("%d jobs analysed", n) })
	return w.Analysed, err
}
