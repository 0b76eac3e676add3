package main

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/agent/internal/transfer"
)

// progress shows transfers on stderr.
type progress interface {
	transfer.Progress
	// expect says how many files there will be; of many only those on their way are shown, and one bar for all.
	expect(files int)
	// close waits for the last picture; the second time it does nothing.
	close()
}

// progress is bars on a terminal, a line for each file otherwise.
func (a *app) progress() progress {
	if !isTerminal(a.Err) {
		return &lineProgress{out: a.Err}
	}
	return &barProgress{bars: mpb.New(mpb.WithOutput(a.Err), mpb.WithWidth(40), mpb.WithRefreshRate(200*time.Millisecond))}
}

type lineProgress struct {
	out io.Writer
	mu  sync.Mutex
}

func (l *lineProgress) expect(int) {}
func (l *lineProgress) close()     {}

// Begin says nothing yet: errors and ends are lines.
func (l *lineProgress) Begin(name string, total int64) transfer.Bar {
	return &lineBar{progress: l, name: term.Clean(name), total: total}
}

type lineBar struct {
	progress *lineProgress
	name     string
	total    int64
}

// Add is silent.
func (b *lineBar) Add(int64) {}

// End prints one line; an error is printed by the command.
func (b *lineBar) End(err error) {
	if err != nil {
		return
	}
	b.progress.mu.Lock()
	defer b.progress.mu.Unlock()
	fmt.Fprintf(b.progress.out, "%s  %s\n", b.name, report.Bytes(float64(b.total)))
}

type barProgress struct {
	bars  *mpb.Progress
	whole *mpb.Bar // of all files, when there are many
}

const (
	maxBarName = 30 // how much of a name fits beside its bar
	fewBars    = 10 // up to how many files keep a bar each
)

func (p *barProgress) expect(files int) {
	if files <= fewBars {
		return
	}
	p.whole = p.bars.AddBar(int64(files), mpb.BarPriority(math.MaxInt), mpb.PrependDecorators(decor.Name("all", decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d files"), decor.Percentage(decor.WCSyncSpace)))
}

func (p *barProgress) close() {
	if p.whole != nil {
		p.whole.Abort(false) // files that were left out never counted
	}
	p.bars.Wait()
}

// Begin adds a bar.
func (p *barProgress) Begin(name string, total int64) transfer.Bar {
	name = shortened(term.Clean(name), maxBarName)
	options := []mpb.BarOption{
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Percentage(decor.WCSyncSpace)),
	}
	if p.whole != nil {
		options = append(options, mpb.BarRemoveOnComplete())
	}
	b := p.bars.AddBar(0, options...) // one with a total would be done when all bytes were sent once
	b.SetTotal(total, false)
	return bar{b, total, p.whole}
}

func shortened(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return "…" + string(runes[len(runes)-most+1:])
}

type bar struct {
	*mpb.Bar
	total int64
	whole *mpb.Bar
}

// Add moves the bar; a piece that is sent again moves it back.
func (b bar) Add(n int64) { b.IncrInt64(n) }

// End leaves a full bar for a success and drops a failed one.
func (b bar) End(err error) {
	if b.whole != nil {
		b.whole.Increment()
	}
	if err != nil {
		b.Abort(true)
		return
	}
	b.SetTotal(b.total, true)
}
