package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/google/uuid"
)

// Place is where a user keeps his files.
type Place struct {
	Home string
	GID  uint32
}

// Bounds of looking for what a wrapper kept while this agent was away.
const (
	keptTries    = 3
	keptPerRound = 20
	keptBytes    = 256 << 10 // as much as the socket takes
	keptWithin   = 7 * 24 * time.Hour
)

// fetchKept reads what wrappers kept for an agent that was away, of submissions that were then found by their tag: one
// file of a known name in the user's home, through the user's helper. It is taken as if the wrapper had told it now, and
// the file stays: the user's next ergon command hands it in again, which changes nothing, and removes it. Homes with
// another XDG_STATE_HOME are left to that command.
func (d *Daemon) fetchKept(ctx context.Context, tried map[uuid.UUID]int) error {
	if !d.opt.System || d.opt.Place == nil || !d.uploadsEnabled() {
		return nil // a user's own agent reads its spool by itself
	}
	adopted, err := d.journal.Adopted(ctx, d.opt.Now().Add(-keptWithin))
	if err != nil {
		return err
	}
	asked := 0
	for _, s := range adopted {
		if tried[s.ID] >= keptTries || asked >= keptPerRound || !d.uploads(s.UID) {
			continue
		}
		asked++
		tried[s.ID]++
		if err := d.fetchOne(ctx, s); err != nil {
			if !nothingKept(err) {
				d.opt.Log.Info("what a wrapper may have kept could not be read", "submission", s.ID, "user", s.User, "error", err)
				continue
			}
			tried[s.ID] = keptTries
		}
	}
	return nil
}

// nothingKept says that there is no such file, or none that may be read, and will be none.
func nothingKept(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, helper.ErrRefused)
}

func (d *Daemon) fetchOne(ctx context.Context, s journal.Submission) error {
	place, err := d.opt.Place(ctx, s.UID)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(place.Home) || place.Home == "/" {
		return fs.ErrNotExist
	}
	file := filepath.Join(place.Home, ".local", "state", "ergon", "spool", s.ID.String()+".json")
	job := outputs.JobFiles{UID: s.UID, GID: place.GID, User: s.User, Dirs: outputs.Dirs{Stdout: file}}
	var text bytes.Buffer
	if err := d.opt.Worker.Tail(ctx, job, outputs.ClassStdout, keptBytes, &text); err != nil {
		return err
	}
	var r socket.Result
	if err := json.Unmarshal(text.Bytes(), &r); err != nil || r.SubmissionID != s.ID {
		return errors.New("the file holds no result of this submission")
	}
	return (*backend)(d).Result(ctx, socket.Peer{UID: s.UID, GID: place.GID}, r)
}
