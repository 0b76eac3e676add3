package upload

import (
	"sync"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// progress counts what the workers of one upload report; it calls its listener from one goroutine at a time.
type progress struct {
	mu     sync.Mutex
	now    outputs.Progress
	listen func(outputs.Progress)
}

func newProgress(m outputs.Manifest, listen func(outputs.Progress)) *progress {
	p := &progress{listen: listen}
	for _, e := range m.Entries {
		if e.Status == outputs.StatusFound {
			p.now.FilesTotal++
			p.now.BytesTotal += e.Size
		}
	}
	return p
}

func (p *progress) begin(path string) { p.change(func() { p.now.Current = path }) }

// sent counts bytes as they are accepted: the parts of a multipart upload one by one.
func (p *progress) sent(bytes int64) { p.change(func() { p.now.Bytes += bytes }) }

func (p *progress) done() { p.change(func() { p.now.Files++ }) }

func (p *progress) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	if p.listen != nil {
		p.listen(p.now)
	}
}
