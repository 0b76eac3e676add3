// Package config reads the agent's settings: one YAML file, strict, with all faults reported at once. In system mode the
// file belongs to root and the control plane cannot override it.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/site"
	"gopkg.in/yaml.v3"
)

// SystemFile is the site's file; the wrapper reads its sbatch, tag and dirs settings too.
const SystemFile = site.File

// Config holds every setting. docs/agent.md lists them.
type Config struct {
	// Cluster is the cluster's name in the control plane; "" takes the one of enrolment, else Slurm's ClusterName.
	Cluster string `yaml:"cluster"`
	// StateDir holds journal and key; Socket is where users connect.
	StateDir string `yaml:"state_dir"`
	Socket   string `yaml:"socket"`
	// Audience is the server's issuer name, which assertions are addressed to.
	Audience string `yaml:"audience"`
	// MetricsListen is a loopback address such as 127.0.0.1:9460; "" is off.
	MetricsListen string `yaml:"metrics_listen"`
	LogLevel      string `yaml:"log_level"`

	Slurm      Slurm      `yaml:"slurm"`
	Tag        Tag        `yaml:"tag"`
	Dirs       Dirs       `yaml:"dirs"`
	Uploads    Uploads    `yaml:"uploads"`
	Accounting Accounting `yaml:"accounting"`
}

// Slurm says how Slurm is asked.
type Slurm struct {
	// BinDir holds squeue, sacct, scontrol and sacctmgr; "" finds squeue on PATH at start.
	BinDir string `yaml:"bin_dir"`
	// Sbatch is the real sbatch; "" is the first on PATH that is not ours.
	Sbatch string `yaml:"sbatch"`
	// Conf becomes SLURM_CONF; "" leaves the environment alone.
	Conf              string        `yaml:"conf"`
	PollInterval      time.Duration `yaml:"poll_interval"`
	Timeout           time.Duration `yaml:"timeout"`
	SqueuePerMinute   float64       `yaml:"squeue_per_minute"`
	SacctPerMinute    float64       `yaml:"sacct_per_minute"`
	ScontrolPerMinute float64       `yaml:"scontrol_per_minute"`
	// SstatPerMinute is how often running jobs are asked what they have used so far; 0 is never. Each call reaches every node
	// of the jobs that it asks for.
	SstatPerMinute float64 `yaml:"sstat_per_minute"`
}

// Tag says how a submission is anchored in Slurm.
type Tag struct {
	// Carrier is comment or none.
	Carrier string `yaml:"carrier"`
}

// Dirs says where the directories of a submission are made.
type Dirs struct {
	// Base holds input and output directories; "~/" is the user's home.
	Base string `yaml:"base"`
	// Scratch holds scratch directories; "%u" is the user's name. "" puts them below Base.
	Scratch string `yaml:"scratch"`
}

// Uploads are level 2.
type Uploads struct {
	// Enabled is nil when the file does not say: off in system mode, on for a user's own agent.
	Enabled   *bool `yaml:"enabled"`
	FileBytes int64 `yaml:"file_bytes"`
	JobBytes  int64 `yaml:"job_bytes"`
	JobFiles  int   `yaml:"job_files"`
	EndBytes  int64 `yaml:"end_bytes"`
	// Parallel is how many jobs are uploaded at once.
	Parallel int `yaml:"parallel"`
	// Settle is how long after a job's end its files are left alone.
	Settle time.Duration `yaml:"settle"`
	// RetryBlocked is how long a refused upload (quota), or one whose home needs a login, waits before it is tried again.
	RetryBlocked time.Duration `yaml:"retry_blocked"`
}

// Accounting is level 1.
type Accounting struct {
	// Lookback is where the first accounting window begins.
	Lookback time.Duration `yaml:"lookback"`
	// WindowEvery is how often a window is asked for once it has caught up.
	WindowEvery time.Duration `yaml:"window_every"`
}

// Env is what Defaults needs to know of the outside.
type Env struct {
	System bool
	Getenv func(string) string
	// Root is put before absolute default paths; "" outside tests.
	Root string
}

// Default gives the settings of a file that says nothing.
func Default(e Env) (Config, error) {
	c := Config{
		Audience: "ergon", LogLevel: "info",
		Slurm: Slurm{PollInterval: 30 * time.Second, Timeout: 60 * time.Second, SqueuePerMinute: 2, SacctPerMinute: 2, ScontrolPerMinute: 30},
		Tag:   Tag{Carrier: site.Default().Carrier}, Dirs: Dirs{Base: site.Default().Base},
		Uploads: Uploads{
			FileBytes: outputs.DefaultFileBytes, JobBytes: outputs.DefaultJobBytes, JobFiles: outputs.DefaultJobFiles,
			EndBytes: outputs.DefaultEndBytes, Parallel: 2, Settle: 5 * time.Second, RetryBlocked: 10 * time.Minute,
		},
		Accounting: Accounting{Lookback: 24 * time.Hour, WindowEvery: time.Minute},
	}
	if e.System {
		c.StateDir, c.Socket = e.Root+"/var/lib/ergon-agent", e.Root+"/run/ergon/agent.sock"
		return c, nil
	}
	state, err := UserStateDir(e.Getenv)
	if err != nil {
		return c, err
	}
	c.StateDir, c.Socket = state, filepath.Join(state, "agent.sock")
	if runtime := e.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		c.Socket = filepath.Join(runtime, "ergon", "agent.sock")
	}
	return c, nil
}

// UserStateDir is where a user's own agent, and the wrapper, keep state.
func UserStateDir(getenv func(string) string) (string, error) { return site.UserStateDir(getenv) }

// Load reads path over the defaults. A missing file is an error only when required.
func Load(path string, required bool, e Env) (Config, error) {
	c, err := Default(e)
	if err != nil {
		return c, err
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !required:
	case err != nil:
		return c, fmt.Errorf("reading the agent's settings: %w", err)
	default:
		if err := decode(data, &c); err != nil {
			return c, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func decode(data []byte, c *Config) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Validate names every fault.
func (c Config) Validate() error {
	var faults []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	bad(!filepath.IsAbs(c.StateDir), "state_dir must be an absolute path, not %q", c.StateDir)
	bad(!filepath.IsAbs(c.Socket), "socket must be an absolute path, not %q", c.Socket)
	bad(len(c.Socket) > 100, "socket is longer than a unix socket's path may be (about 100 bytes): %q", c.Socket)
	bad(c.Slurm.BinDir != "" && !filepath.IsAbs(c.Slurm.BinDir), "slurm.bin_dir must be an absolute path, not %q", c.Slurm.BinDir)
	bad(c.Slurm.PollInterval <= 0, "slurm.poll_interval must be longer than 0")
	bad(c.Slurm.Timeout <= 0, "slurm.timeout must be longer than 0")
	bad(c.Slurm.SqueuePerMinute <= 0 || c.Slurm.SacctPerMinute <= 0 || c.Slurm.ScontrolPerMinute <= 0, "slurm.*_per_minute must be more than 0")
	bad(!sstatRate(c.Slurm.SstatPerMinute), "slurm.sstat_per_minute must be 0 (never), or 0.01 to 60")
	bad(c.Uploads.FileBytes < 0 || c.Uploads.JobBytes < 0 || c.Uploads.JobFiles < 0 || c.Uploads.EndBytes < 0, "uploads.* must not be negative")
	bad(c.Uploads.Parallel < 1 || c.Uploads.Parallel > 64, "uploads.parallel must be 1 to 64")
	bad(c.Uploads.RetryBlocked < time.Second, "uploads.retry_blocked must be 1s or longer")
	bad(c.Accounting.Lookback <= 0 || c.Accounting.WindowEvery <= 0, "accounting.* must be longer than 0")
	bad(c.MetricsListen != "" && !loopback(c.MetricsListen), "metrics_listen must be a loopback address, not %q", c.MetricsListen)
	bad(!strings.Contains(" debug info warn error ", " "+c.LogLevel+" "), "log_level must be debug, info, warn or error, not %q", c.LogLevel)
	return errors.Join(append(faults, c.Site().Validate())...)
}

// sstatRate: faster than a second is no use, since Slurm samples each second at best.
func sstatRate(perMinute float64) bool { return perMinute == 0 || perMinute >= 0.01 && perMinute <= 60 }

// Site is what the wrapper needs of it.
func (c Config) Site() site.Site {
	return site.Site{Sbatch: c.Slurm.Sbatch, Carrier: c.Tag.Carrier, Base: c.Dirs.Base, Scratch: c.Dirs.Scratch}
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// Caps gives the upload caps.
func (c Config) Caps() outputs.Caps {
	return outputs.Caps{FileBytes: c.Uploads.FileBytes, JobBytes: c.Uploads.JobBytes, JobFiles: c.Uploads.JobFiles, EndBytes: c.Uploads.EndBytes}
}
