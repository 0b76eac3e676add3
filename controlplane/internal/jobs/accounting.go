package jobs

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Batch is accounting rows of one cluster.
type Batch struct {
	Cluster Cluster
	Rows    []*slurmfmt.Record
	// OnlyMeasured leaves rows without any usage out of the analysis: an import of history without steps has nothing to analyse.
	OnlyMeasured bool
	// Intake is what the site leaves out.
	Intake Intake
}

// Result counts what became of a batch.
type Result struct {
	Jobs      int // distinct jobs that the rows are about
	Rows      int // rows stored because they were new or knew more
	Unchanged int // rows that were stored before, or came late
	Refused   int // rows that the reporter may not report
	Strangers int // rows of people without an account, where the site takes none
	Summed    int // rows of runs that ended in a time of which only sums are kept
	Bad       []Bad
}

// Bad is a row that could not be used.
type Bad struct {
	Row    int // position in the batch, from 0
	Reason string
	// Orphan says that the row is a step whose job is not known (yet).
	Orphan bool
}

// Prepared is a batch that was read and sorted, which needs no store.
type Prepared struct {
	batch   Batch
	bundles []*bundle
	bad     []Bad
	want    Want
}

// Prepare reads the rows of a batch: rows of one incarnation belong together, a step belongs to the job row before it.
func Prepare(batch Batch) *Prepared {
	p := &Prepared{batch: batch, want: Want{ClusterID: batch.Cluster.ID}}
	p.bundles, p.bad = gather(batch.Rows, &cleaner{intake: batch.Intake})
	for _, u := range p.bundles {
		p.want.Raws = append(p.want.Raws, u.ident.raw)
		if u.tag != nil {
			p.want.IDs = append(p.want.IDs, u.taggedID())
		}
	}
	slices.Sort(p.want.Raws)
	p.want.Raws = slices.Compact(p.want.Raws)
	return p
}

// Accounting prepares and applies a batch.
func (s *Service) Accounting(ctx context.Context, who Reporter, batch Batch) (Result, error) {
	batch.Intake = s.intake
	p := Prepare(batch)
	if err := s.tellSeen(ctx, who, p); err != nil {
		return Result{}, err
	}
	return s.Apply(ctx, who, p)
}

// Apply stores what is news in a batch, in one transaction. It may be repeated: what is stored changes nothing.
func (s *Service) Apply(ctx context.Context, who Reporter, p *Prepared) (Result, error) {
	var res Result
	err := s.books.Edit(ctx, p.want, func(b *Book) ([]*Entry, error) {
		res = Result{Bad: slices.Clone(p.bad)}
		b.open(who, p.batch.Cluster.Name, s.now())
		b.intake = p.batch.Intake
		if err := b.accounting(p.bundles, p.batch, &res); err != nil {
			return nil, err
		}
		changed := b.close()
		for _, e := range changed {
			s.mark(e, p.batch.OnlyMeasured)
		}
		return changed, nil
	})
	if err != nil {
		return Result{}, err
	}
	slices.SortFunc(res.Bad, func(a, b Bad) int { return a.Row - b.Row })
	s.hint(ctx)
	return res, nil
}

// mark notes the end that accounting told, and that the analysis is due.
func (s *Service) mark(e *Entry, onlyMeasured bool) {
	if e.ended() && e.Job.AccountingAt == nil {
		e.Job.AccountingAt = ptr(e.Job.UpdatedAt)
	}
	if !e.ended() {
		e.Job.AccountingAt = nil
	}
	if e.due(onlyMeasured) {
		e.Job.AnalysisDue = true
	}
}

func (b *Book) accounting(bundles []*bundle, batch Batch, res *Result) error {
	touched := map[*Entry]bool{}
	news := b.sortOut(bundles, touched, res)
	raws, ids := make([]string, 0, len(news)), []uuid.UUID{}
	for _, u := range news {
		raws = append(raws, u.ident.raw)
		if u.tag != nil {
			ids = append(ids, u.taggedID())
		}
	}
	if err := b.learn(raws, ids); err != nil {
		return err
	}
	if err := b.recall(news); err != nil {
		return err
	}
	for _, u := range news {
		if e := b.enter(u, batch.Cluster.ID, res); e != nil {
			touched[e] = true
		}
	}
	for e := range touched {
		if !e.Gone {
			res.Jobs++
		}
	}
	return nil
}

// sortOut refuses what the reporter may not report, counts what is stored already, and gives back the rest.
func (b *Book) sortOut(bundles []*bundle, touched map[*Entry]bool, res *Result) []*bundle {
	var news []*bundle
	for _, u := range bundles {
		if b.objected(u) && !u.orphan && b.who.mayReport(u.facts.UID, b.Links) && !b.stranger(u.facts.UID, u.facts.User) {
			if err := u.hide(); err != nil {
				res.Bad = append(res.Bad, Bad{Row: u.lines[0], Reason: err.Error()})
				continue
			}
			u.hidden = true
		}
		switch e := b.known(u); {
		case !u.orphan && !u.hidden && !b.who.mayReport(u.facts.UID, b.Links):
			res.Refused += len(u.rows)
		case !u.orphan && !u.hidden && b.stranger(u.facts.UID, u.facts.User):
			res.Strangers += len(u.rows)
		case e != nil:
			res.Unchanged += len(u.rows)
			touched[e] = true
		default:
			news = append(news, u)
		}
	}
	return news
}

// enter adds an incarnation to its job; nil when it is not the reporter's business, or steps without a job.
func (b *Book) enter(u *bundle, clusterID string, res *Result) *Entry {
	if u.orphan && !b.adoptOrphan(u) {
		for _, line := range u.lines {
			res.Bad = append(res.Bad, Bad{Row: line, Reason: "a step of job " + u.ident.job + ", of which there is no row", Orphan: true})
		}
		return nil
	}
	if !u.hidden && !b.who.mayReport(u.facts.UID, b.Links) || b.foreign(u) {
		res.Refused += len(u.rows)
		return nil
	}
	if !u.hidden && b.stranger(u.facts.UID, u.facts.User) {
		res.Strangers += len(u.rows)
		return nil
	}
	if b.summed(u) {
		res.Summed += len(u.rows)
		return nil
	}
	if u.orphan && b.objected(u) {
		if err := u.hide(); err != nil {
			res.Bad = append(res.Bad, Bad{Row: u.lines[0], Reason: err.Error()})
			return nil
		}
	}
	e := b.place(u, clusterID)
	b.vouch(e)
	if u.hidden && e.names() {
		if err := b.strip(e); err != nil {
			res.Bad = append(res.Bad, Bad{Row: u.lines[0], Reason: err.Error()})
			return nil
		}
	}
	news := e.take(u.facts, u.rows)
	res.Rows += news
	res.Unchanged += len(u.rows) - news
	return e
}

// adoptOrphan finds the stored incarnation that steps without their job row belong to.
func (b *Book) adoptOrphan(u *bundle) bool {
	var best *Run
	for _, e := range b.byRaw[u.ident.raw] {
		for _, r := range e.Runs {
			if r.Facts.SlurmJobID == u.ident.job && r.Facts.covers(u.start) && (best == nil || best.Facts.before(r.Facts) < 0) {
				best = r
			}
		}
	}
	if best == nil {
		return false
	}
	u.facts = best.Facts
	return true
}

// covers says whether a step that began at start can be part of the incarnation.
func (f Facts) covers(start *int64) bool {
	if start == nil || f.Start == nil {
		return true
	}
	return *start >= *f.Start-requeueSlack && (f.EndSeen == nil || *start <= *f.EndSeen+requeueSlack)
}

// gather sorts the rows of a batch into incarnations.
func gather(rows []*slurmfmt.Record, c *cleaner) (bundles []*bundle, bad []Bad) {
	latest := make(map[string][]*bundle, len(rows))
	for i, r := range rows {
		id, err := identOf(r)
		if err == nil {
			bundles, err = addRow(bundles, latest, id, tagOf(r), c.clean(r), i)
		}
		if err != nil {
			bad = append(bad, Bad{Row: i, Reason: err.Error()})
		}
	}
	slices.SortStableFunc(bundles, func(a, b *bundle) int {
		if a.orphan != b.orphan {
			return boolOrder(a.orphan)
		}
		return a.facts.before(b.facts)
	})
	return bundles, bad
}

func boolOrder(late bool) int {
	if late {
		return 1
	}
	return -1
}

func addRow(bundles []*bundle, latest map[string][]*bundle, id ident, tag *uuid.UUID, r *slurmfmt.Record, line int) ([]*bundle, error) {
	if id.step != "" {
		u := stepHome(latest[id.job], moment(r, "Start"))
		if u == nil {
			u = &bundle{ident: id, orphan: true, start: moment(r, "Start")}
			bundles = append(bundles, u)
		}
		u.rows, u.lines = append(u.rows, newRow(id.step, r)), append(u.lines, line)
		return bundles, nil
	}
	f, err := factsOf(r, id)
	if err != nil {
		return bundles, err
	}
	u := &bundle{ident: id, tag: tag, facts: f, rows: []Row{newRow("", r)}, lines: []int{line}}
	latest[id.job] = append(latest[id.job], u)
	return append(bundles, u), nil
}

// stepHome is the incarnation that covers the step's start, the last one where none does or nothing is known.
func stepHome(candidates []*bundle, start *int64) *bundle {
	for _, u := range slices.Backward(candidates) {
		if u.facts.covers(start) {
			return u
		}
	}
	if len(candidates) > 0 && start == nil {
		return candidates[len(candidates)-1]
	}
	return nil
}

// IsFault says whether an error is about the row and written for the human who sent it.
func IsFault(err error) bool {
	var f fault
	return errors.As(err, &f)
}
