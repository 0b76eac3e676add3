package submit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/sbatch"
	"github.com/ergon-hpc/ergon/shared/workprint"
	"github.com/google/uuid"
)

// plan is how sbatch is going to be called.
type plan struct {
	args []string
	env  []string
	// submits says that the call makes a job that we would mark.
	submits bool
	// intent is what the agent is told; its id is uuid.Nil for a call that submits nothing or is not tagged.
	intent socket.Intent
	// inputs are to be brought to intent's input directory first.
	inputs   []string
	inputDir string
	// stdin is what has been read of a script on a pipe; nil leaves stdin alone.
	stdin *feed
	// warnings are for a terminal.
	warnings []string
}

// untouched is the call as the caller made it.
func untouched(c Call) plan { return plan{args: c.Args, env: c.Environ} }

func (p plan) tagged() bool { return p.intent.SubmissionID != uuid.Nil }

// plan makes the plan; what cannot be planned is submitted untouched.
func (c Call) plan(ctx context.Context, node Site, agent bool) plan {
	p, err := prepare(ctx, c, node, agent)
	if err != nil {
		stdin := p.stdin
		p = untouched(c)
		p.stdin, p.submits = stdin, !errors.Is(err, os.ErrNotExist)
	}
	return p
}

// maxScript is how much of a script is looked at, in bytes; directives stand at its top.
const maxScript = 1 << 20

// firstLook is how much is read first: nearly every head ends there.
const firstLook = 16 << 10

// prepare reads the script and makes tag, directories and environment. Any error means: submit untouched.
func prepare(ctx context.Context, c Call, node Site, agent bool) (plan, error) {
	line := sbatch.Parse(c.Args)
	if !line.Submits() || node.Carrier == "none" {
		return untouched(c), nil
	}
	p := plan{args: slices.Clone(c.Args), env: c.Environ, submits: true}
	d, err := p.script(ctx, c, line, agent)
	if err != nil {
		return p, err
	}
	id, err := jobkey.NewSubmission()
	if err != nil {
		return p, err
	}
	p.intent = socket.Intent{SubmissionID: id, Globs: d.outputs, Script: d.print}
	p.warnings = append(p.warnings, d.faults...)
	p.args = tagged(p.args, line, jobkey.Tag(id, ownComment(c, line, d)))
	if d.found {
		c.at("wrapper.directories")
		p.directories(c, node, d)
	}
	return p, nil
}

// script finds the directives: in a file, in --wrap's text (which has none), or on stdin.
func (p *plan) script(ctx context.Context, c Call, line sbatch.Line, agent bool) (directives, error) {
	switch {
	case line.Has("wrap"):
		return directives{}, nil
	case line.Script >= 0:
		return fileDirectives(c, c.Args[line.Script])
	case isRegular(c.Stdin):
		return atDirectives(c.Stdin)
	case !agent || isTerminal(c.Stdin):
		return directives{}, errStdin // nobody would feed sbatch, or a human types
	}
	select {
	case c.stdin <- struct{}{}:
	default:
		return directives{}, errStdin // too late
	}
	p.stdin = newFeed(c.Stdin)
	c.fed <- p.stdin
	c.at("wrapper.stdin")
	return p.stdin.head(ctx)
}

// errStdin: the script cannot be looked at, so its own --comment is not known and must not be overridden.
var errStdin = errors.New("the script on standard input is not looked at")

func isRegular(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// fileDirectives opens the script where sbatch looks for it: here, else along PATH.
func fileDirectives(c Call, name string) (directives, error) {
	f, err := openScript(name)
	if errors.Is(err, os.ErrNotExist) && !strings.Contains(name, "/") {
		for _, dir := range filepath.SplitList(c.Getenv("PATH")) {
			if f, err = openScript(filepath.Join(dir, name)); err == nil {
				break
			}
		}
	}
	if err != nil {
		return directives{}, err
	}
	defer f.Close()
	return atDirectives(f)
}

// openScript never blocks on a FIFO or device.
func openScript(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if !isRegular(f) {
		return nil, errors.Join(fmt.Errorf("%s is no regular file", path), f.Close())
	}
	return f, nil
}

// atDirectives reads with pread, so that the offset of an inherited stdin stays where it is.
func atDirectives(f *os.File) (directives, error) {
	offset := int64(0)
	if at, err := f.Seek(0, 1); err == nil {
		offset = at
	}
	for size := firstLook; ; size = maxScript {
		buf := make([]byte, size)
		n, err := f.ReadAt(buf, offset)
		if err != nil && n == 0 {
			return directives{}, err
		}
		d, complete := readDirectives(string(buf[:n]), n < size)
		if complete {
			d.print = printOf(f, offset, buf[:n], n < size)
			return d, nil
		}
		if size == maxScript {
			return d, errors.New("the head of the script is longer than is looked at")
		}
	}
}

// printOf is the print of a script of which text was read; the rest is read too, unless it is long.
func printOf(f *os.File, offset int64, text []byte, whole bool) *workprint.Text {
	if !whole && len(text) <= workprint.MaxScript {
		buf := make([]byte, workprint.MaxScript+1)
		n, err := f.ReadAt(buf, offset)
		if !errors.Is(err, io.EOF) {
			return nil // longer, or it cannot be read
		}
		text = buf[:n]
	}
	return workprint.Script(string(text))
}

// ownComment is the user's: command line, else environment, else script, as sbatch has it. The tag of an earlier
// submission whose command line is used again is dropped.
func ownComment(c Call, line sbatch.Line, d directives) string {
	own := d.comment
	if env, set := lookup(c.Environ, "SBATCH_COMMENT"); set {
		own = env
	}
	if o, ok := line.Last("comment"); ok {
		own = o.Value
	}
	if _, inner, err := jobkey.ParseTag(own); err == nil {
		return inner
	}
	return own
}

func lookup(environ []string, name string) (string, bool) {
	for i := len(environ) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(environ[i], name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// tagged puts the tag first, or in the place of the comment that counts. Nothing else moves.
func tagged(args []string, line sbatch.Line, tag string) []string {
	word := "--comment=" + tag
	if o, ok := line.Last("comment"); ok {
		return slices.Replace(args, o.First, o.Last+1, word)
	}
	return slices.Insert(args, 0, word)
}

// directories makes what the script asked for and names it in the environment. What could not be made is not set, so
// that "${ERGON_OUTPUT_DIR:?}" in a script stops the job.
func (p *plan) directories(c Call, node Site, d directives) {
	id := p.intent.SubmissionID
	base, err := baseDir(c, node.Base)
	if err != nil {
		p.warnings = append(p.warnings, err.Error())
		p.env = setenv(p.env, map[string]string{"ERGON_INPUT_DIR": "", "ERGON_OUTPUT_DIR": "", "ERGON_SCRATCH_DIR": ""})
		return
	}
	home := filepath.Join(base, id.String())
	p.intent.Dirs.Output = p.make(filepath.Join(home, "out"))
	if len(d.inputs) > 0 {
		p.inputDir, p.inputs = p.make(filepath.Join(home, "in")), d.inputs
	}
	if d.scratch {
		p.intent.Dirs.Scratch = p.makeScratch(c, node.Scratch, home)
	}
	p.env = setenv(p.env, map[string]string{
		"ERGON_INPUT_DIR": p.inputDir, "ERGON_OUTPUT_DIR": p.intent.Dirs.Output, "ERGON_SCRATCH_DIR": p.intent.Dirs.Scratch,
	})
	p.exported(c, d)
}

func baseDir(c Call, base string) (string, error) {
	rest, inHome := strings.CutPrefix(base, "~/")
	if !inHome {
		return base, nil
	}
	home := c.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("HOME is not set, so #ERGON directories cannot be made")
	}
	return filepath.Join(home, rest), nil
}

func (p *plan) make(dir string) string {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.warnings = append(p.warnings, err.Error())
		return ""
	}
	return dir
}

// OwnerFile marks a scratch directory as made by us for one submission; cleanup asks for it.
const OwnerFile = ".ergon-owner"

func (p *plan) makeScratch(c Call, scratch, home string) string {
	id := p.intent.SubmissionID
	dir := filepath.Join(home, "scratch")
	if scratch != "" {
		c.at("wrapper.user")
		dir = filepath.Join(strings.ReplaceAll(scratch, "%u", filepath.Base(c.User())), "ergon-"+id.String())
	}
	if dir = p.make(dir); dir == "" {
		return ""
	}
	mark, err := json.Marshal(map[string]string{"submission_id": id.String(), "nonce": uuid.NewString()})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, OwnerFile), mark, 0o600)
	}
	if err != nil {
		p.warnings = append(p.warnings, err.Error())
	}
	return dir
}

// setenv sets variables, or takes them away where the value is "": a nested submission must not see its parent's.
func setenv(environ []string, values map[string]string) []string {
	out := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		_, ours := values[name]
		return ours
	})
	for name, value := range values {
		if value != "" {
			out = append(out, name+"="+value)
		}
	}
	return out
}

// exported adds our variables to a list of --export when the script asks for it. NONE and NIL cannot be added to.
func (p *plan) exported(c Call, d directives) {
	if !d.export {
		return
	}
	line := sbatch.Parse(p.args)
	value, has := d.exports, d.hasExports
	if env, set := lookup(c.Environ, "SBATCH_EXPORT"); set {
		value, has = env, true
	}
	option, onLine := line.Last("export")
	if onLine {
		value, has = option.Value, true
	}
	if !has || value == "" || slices.Contains(list(value), "ALL") {
		return // everything is exported
	}
	if value == "NONE" || value == "NIL" {
		p.warnings = append(p.warnings, "#ERGON export has no effect with --export="+value+": name the variables there, as in --export=ERGON_OUTPUT_DIR")
		return
	}
	word := "--export=" + value + ",ERGON_INPUT_DIR,ERGON_OUTPUT_DIR,ERGON_SCRATCH_DIR"
	if onLine {
		p.args = slices.Replace(p.args, option.First, option.Last+1, word)
		return
	}
	p.args = slices.Insert(p.args, 0, word)
}
