package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/local"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// errNoSlurm says that this machine has no Slurm commands.
var errNoSlurm = errors.New("no sacct was found on this machine; run this on a login node, name Slurm's directory " +
	"in $ERGON_SLURM_BIN_DIR, or read a dump: ergon explain FILE")

// slurmTimeout is longer than Slurm's own MessageTimeout of 10 s, so that its message is seen.
const slurmTimeout = 30 * time.Second

// slurmEnv are the variables that Slurm's commands need; no secret of ours is handed on.
var slurmEnv = []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "SLURM_CONF", "SLURM_JWT", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR"}

// slurm gives the runner of the local Slurm commands.
func (a *app) slurm() (*slurm.Runner, error) {
	dir, found := a.slurmDir()
	if !found {
		return nil, errNoSlurm
	}
	var env []string
	for _, name := range slurmEnv {
		if v := a.Env(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return slurm.NewRunner(slurm.Options{BinDir: dir, Env: env, Timeout: slurmTimeout, Now: a.Now, Rand: rand.Reader})
}

// slurmDir is $ERGON_SLURM_BIN_DIR, else where sacct is on PATH.
func (a *app) slurmDir() (dir string, found bool) {
	if dir := a.Env("ERGON_SLURM_BIN_DIR"); dir != "" {
		return dir, filepath.IsAbs(dir)
	}
	for _, dir := range filepath.SplitList(a.Env("PATH")) {
		st, err := os.Stat(filepath.Join(dir, "sacct"))
		if filepath.IsAbs(dir) && err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0 {
			return dir, true
		}
	}
	return "", false
}

// reporter makes reports from the local Slurm, as the user who runs this.
func (a *app) reporter(warn *warnings) (local.Reporter, error) {
	runner, err := a.slurm()
	if err != nil {
		return local.Reporter{}, err
	}
	return local.Reporter{Slurm: runner, User: strconv.Itoa(os.Getuid()), ProfileDir: a.Env("ERGON_PROFILE_DIR"), Warn: warn.add}, nil
}

// faultWords say in plain words why Slurm did not answer.
var faultWords = map[slurmfmt.Fault]string{
	slurmfmt.FaultControllerDown: "Slurm's controller (slurmctld) does not answer; running jobs go on. Try again later, or ask your administrators",
	slurmfmt.FaultDatabaseDown:   "Slurm's accounting database (slurmdbd) does not answer; jobs run on and are accounted later. Try again later",
	slurmfmt.FaultTimeout:        "Slurm is too busy to answer in time. Try again in a minute",
	slurmfmt.FaultDenied:         "Slurm refuses to show this to you; ask for your own jobs",
}

// plainFault puts an outage of Slurm into words, with the exit code for what cannot be reached.
func plainFault(err error) error {
	fault := slurm.FaultOf(err)
	words, known := faultWords[fault]
	if err == nil || !known {
		return err
	}
	code := exitFailed
	if fault.Outage() {
		code = exitUnreachable
	}
	return statusError{fmt.Errorf("%s (%w)", words, err), code}
}
