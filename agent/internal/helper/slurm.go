package helper

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Question is what a helper may ask Slurm as its user, where PrivateData hides the user's jobs from the agent. It names
// no arguments: the helper builds them itself.
type Question struct {
	// Kind is queue, by_id, window or sstat.
	Kind string `json:"kind"`
	// BinDir holds Slurm's commands, Conf is SLURM_CONF or "". Nobody but root may be able to change either.
	BinDir string `json:"bin_dir"`
	Conf   string `json:"conf,omitempty"`
	// User is the user's own name.
	User    string        `json:"user"`
	IDs     []string      `json:"ids,omitempty"`
	From    time.Time     `json:"from,omitzero"`
	To      time.Time     `json:"to,omitzero"`
	Timeout time.Duration `json:"timeout"`
}

// Kinds of a Question.
const (
	AskQueue  = "queue"
	AskByID   = "by_id"
	AskWindow = "window"
	AskSstat  = "sstat"
)

// table is a slurm.Table on the wire.
type table struct {
	Columns []string       `json:"columns"`
	Rows    [][]string     `json:"rows"`
	Bad     int            `json:"bad,omitempty"`
	BadText []string       `json:"bad_text,omitempty"`
	Fault   slurmfmt.Fault `json:"fault,omitempty"`
	Command string         `json:"command,omitempty"`
	Exit    int            `json:"exit,omitempty"`
	Stderr  string         `json:"stderr,omitempty"`
}

// AskSlurm asks one question on a fresh connection to a helper and closes it. What Slurm did not answer is a
// *slurm.CommandError, as if the agent had asked itself.
func AskSlurm(ctx context.Context, conn io.ReadWriteCloser, q Question) (slurm.Table, error) {
	c := &Client{frames: &frames{conn: conn}, waiting: map[uint64]chan response{}}
	c.reader.Go(c.read)
	r, err := c.call(ctx, request{Verb: verbSlurm, Slurm: &q})
	if err = errors.Join(err, c.Close()); err != nil {
		return slurm.Table{}, fmt.Errorf("asking Slurm as %s: %w", q.User, err)
	}
	if r.Table == nil {
		return slurm.Table{}, fmt.Errorf("asking Slurm as %s: the helper sent no rows", q.User)
	}
	return r.Table.domain()
}

func (t table) domain() (slurm.Table, error) {
	if t.Fault != slurmfmt.FaultNone {
		return slurm.Table{}, &slurm.CommandError{Command: t.Command, Fault: t.Fault, Exit: t.Exit, Stderr: t.Stderr}
	}
	columns := slurmfmt.NewColumns(t.Columns...)
	out := slurm.Table{Columns: t.Columns, Bad: t.Bad, BadText: t.BadText}
	for _, row := range t.Rows {
		if len(row) != len(t.Columns) {
			return slurm.Table{}, errors.New("the helper sent a row with other columns")
		}
		out.Rows = append(out.Rows, slurmfmt.NewRecord(columns, row, nil))
	}
	return out, nil
}

// answerSlurm runs the command and turns its answer into a message.
func answerSlurm(ctx context.Context, q Question) (response, error) {
	for _, path := range []string{filepath.Join(q.BinDir, "squeue"), filepath.Join(q.BinDir, "sacct"), sstatOf(q), q.Conf} {
		if path == "" {
			continue
		}
		if err := rootsOwn(path); err != nil {
			return response{}, err
		}
	}
	env := os.Environ()
	if q.Conf != "" {
		env = append(env, "SLURM_CONF="+q.Conf)
	}
	runner, err := slurm.NewRunner(slurm.Options{BinDir: q.BinDir, Env: env, Timeout: q.Timeout, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		return response{}, err
	}
	got, err := ask(ctx, runner, q)
	var failed *slurm.CommandError
	if errors.As(err, &failed) {
		return response{Table: &table{Fault: failed.Fault, Command: failed.Command, Exit: failed.Exit, Stderr: failed.Stderr}}, nil
	}
	if err != nil {
		return response{}, err
	}
	out := &table{Columns: got.Columns, Bad: got.Bad, BadText: got.BadText}
	for _, rec := range got.Rows {
		out.Rows = append(out.Rows, slurm.Fields(rec))
	}
	return response{Table: out}, nil
}

// sstatOf is the command where it is asked for: a site that does not want it need not have it.
func sstatOf(q Question) string {
	if q.Kind != AskSstat {
		return ""
	}
	return filepath.Join(q.BinDir, "sstat")
}

func ask(ctx context.Context, runner *slurm.Runner, q Question) (slurm.Table, error) {
	switch q.Kind {
	case AskQueue:
		return runner.Queue(ctx, q.User)
	case AskByID:
		return runner.ByID(ctx, q.IDs)
	case AskWindow:
		return runner.Window(ctx, q.From, q.To, q.User)
	case AskSstat:
		return runner.SstatAll(ctx, q.IDs)
	}
	return slurm.Table{}, fmt.Errorf("unknown question %q", q.Kind)
}

// rootsOwn insists that nobody but root could have put a program or a configuration (which names plugins) there: the
// broker says where it is, and a broker that was taken over must not run code as the users. A sticky directory such as
// /tmp is good when what lies in it is root's.
func rootsOwn(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return fmt.Errorf("%q is no clean absolute path", path)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for at := target; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		open := info.Mode().Perm()&0o022 != 0 && !(info.IsDir() && info.Mode()&fs.ModeSticky != 0)
		if !ok || st.Uid != 0 || open {
			return fmt.Errorf("%s can be changed by others than root, so Slurm is not asked as a user from there", at)
		}
		if at == "/" {
			return nil
		}
	}
}
