package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// footprints are what a job's stored outputs took, each its part by its share of the bytes.
type footprints map[uuid.UUID]api.Footprint

// results asks what a job's stored outputs took; nil where nothing is known of any of them.
func (r *remote) results(ctx context.Context, job uuid.UUID) (footprints, error) {
	resp, err := r.client.ListJobResultsWithResponse(ctx, job)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	all, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	if err != nil {
		return nil, err
	}
	// Without a meter, a model or a tariff three columns of dashes would say nothing.
	if all.Job.EnergyJoule == nil && all.Job.Cost == nil && all.Job.CarbonGram == nil {
		return nil, nil //nolint:nilnil // said above
	}
	out := make(footprints, len(all.Results))
	for _, one := range all.Results {
		out[one.Id] = one.Footprint
	}
	return out, nil
}

// cells are energy, cost and carbon of one file for people; none where nothing is known of any.
func (f footprints) cells(id uuid.UUID) []string {
	if f == nil {
		return nil
	}
	one := f[id]
	return []string{
		amountOf(one.EnergyJoule, efficiency.Joule), amountOf(one.Cost, efficiency.Unit(deref(one.CostUnit))), amountOf(one.CarbonGram, efficiency.Gram),
	}
}

func amountOf(v *float64, unit efficiency.Unit) string {
	if v == nil {
		return notKnown
	}
	return report.Amount(*v, unit)
}

const notKnown = "–"

// words are the cells of a file that are known, in one.
func (f footprints) words(id uuid.UUID) string {
	known := slices.DeleteFunc(f.cells(id), func(cell string) bool { return cell == notKnown })
	return strings.Join(known, ", ")
}

// row are the same for a table of CSV: plain numbers, empty where they are not known.
func (f footprints) row(id uuid.UUID) []string {
	one := f[id]
	return []string{plainNumber(one.EnergyJoule), plainNumber(one.Cost), deref(one.CostUnit), plainNumber(one.CarbonGram)}
}

func plainNumber(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
