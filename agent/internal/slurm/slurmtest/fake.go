// Package slurmtest puts fake Slurm commands into a directory: scripts whose answers a test writes as files. It is for
// unit tests; end-to-end tests use a real cluster.
package slurmtest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Fake is a directory of fake commands.
type Fake struct {
	t   testing.TB
	Dir string
}

// script answers from <name>.out, <name>.err, <name>.rc and <name>.sleep, and appends its arguments to <name>.args
// and its environment to <name>.env.
const script = `#!/bin/sh
d=$(dirname "$0"); n=$(basename "$0")
printf '%s\n' "$*" >> "$d/$n.args"
env > "$d/$n.env"
[ -f "$d/$n.sleep" ] && sleep "$(cat "$d/$n.sleep")"
[ -f "$d/$n.err" ] && cat "$d/$n.err" >&2
delim=$(printf '%s\n' "$@" | sed -n 's/^--delimiter=//p; s/^--format=%i\([^%]*\)%A.*$/\1/p')
[ -f "$d/$n.out" ] && sed "s/@D@/$delim/g" "$d/$n.out"
[ -f "$d/$n.rc" ] && exit "$(cat "$d/$n.rc")"
exit 0
`

// New makes squeue, sacct, scontrol, sacctmgr and sbatch that answer nothing with exit code 0.
func New(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{t: t, Dir: t.TempDir()}
	for _, name := range []string{"squeue", "sacct", "scontrol", "sacctmgr", "sbatch"} {
		f.write(name, script, 0o755)
	}
	return f
}

func (f *Fake) write(name, text string, mode os.FileMode) {
	f.t.Helper()
	temp := filepath.Join(f.Dir, name+".new")
	if err := WriteProgram(temp, text, mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(temp, filepath.Join(f.Dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

// WriteProgram writes a file that is executed next. A child that another test forks meanwhile would hold it open for writing
// until its own exec, and executing it would fail with ETXTBSY (https://go.dev/issue/22315); so nobody forks meanwhile.
func WriteProgram(path, text string, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte(text), mode)
}

// Answer sets what a command prints on stdout.
func (f *Fake) Answer(command, stdout string) { f.t.Helper(); f.write(command+".out", stdout, 0o644) }

// Fail makes a command end with a code and a message on stderr; code 0 ends the failure.
func (f *Fake) Fail(command string, code int, stderr string) {
	f.t.Helper()
	f.write(command+".err", stderr, 0o644)
	f.write(command+".rc", strconv.Itoa(code), 0o644)
}

// Slow makes a command sleep before it answers, in seconds as text.
func (f *Fake) Slow(command, seconds string) { f.t.Helper(); f.write(command+".sleep", seconds, 0o644) }

// Replace puts another script in a command's place.
func (f *Fake) Replace(command, text string) { f.t.Helper(); f.write(command, text, 0o755) }

// Calls gives the arguments of each call so far.
func (f *Fake) Calls(command string) []string {
	f.t.Helper()
	data, err := os.ReadFile(filepath.Join(f.Dir, command+".args"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n")
}

// Env gives the environment of the last call.
func (f *Fake) Env(command string) string {
	f.t.Helper()
	data, err := os.ReadFile(filepath.Join(f.Dir, command+".env"))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}
