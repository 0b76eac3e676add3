package submit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/site"
)

// Call is one call of sbatch.
type Call struct {
	// Started is when the process began: the time that is spent on Ergon is counted from here.
	Started time.Time
	// Args are sbatch's, without its name. Environ is the caller's own.
	Args    []string
	Environ []string
	Stdin   *os.File
	Stdout  *os.File
	Stderr  *os.File
	// Self is this program, which is not taken for sbatch.
	Self string
	// User gives the caller's name, for the place of scratch directories; it is asked only when there is one.
	User func() string
	// SiteFile is the node's file. Full reads one that is not plain; it may as well hand over to a program that can.
	SiteFile string
	Full     func() Site
	// StateDir keeps what could not be told to an agent, and when a warning was last shown; "" keeps nothing.
	StateDir string
	// Stage brings inputs into a directory before the submission; nil cannot.
	Stage func(ctx context.Context, dir string, inputs []string) error
	Now   func() time.Time
	// At is called at named points, and nil outside of tests: crash tests end the process there (wrapper.intent.before,
	// wrapper.intent.after, wrapper.sbatch.after), others hang there as a file system may.
	At func(point string)

	// limit makes contexts end; nil by the clock.
	limit func(parent context.Context, at time.Time) (context.Context, context.CancelFunc)
	// stdin is full when somebody reads the script from standard input, or nobody may any more. fed gets the feed then, so
	// that not one byte is lost when what comes after that hangs. found gets the real sbatch.
	stdin chan struct{}
	fed   chan *feed
	found chan string
}

// Site is what the node's file says to the wrapper.
type Site = site.Site

// New is this process's call.
func New(started time.Time, args []string) Call {
	c := Call{
		Started: started, Args: args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Self: os.Args[0],
		SiteFile: site.File, User: UserName, Now: time.Now,
	}
	c.At = crashHook(c.Getenv)
	if self, err := os.Executable(); err == nil {
		c.Self = self
	}
	if own := c.Getenv("ERGON_SITE_CONFIG"); own != "" {
		c.SiteFile = own
	}
	c.StateDir, _ = site.UserStateDir(c.Getenv) // "": nothing is kept
	return c
}

// Getenv reads the caller's environment.
func (c Call) Getenv(name string) string {
	value, _ := lookup(c.Environ, name)
	return value
}

func (c Call) at(point string) {
	if c.At != nil {
		c.At(point)
	}
}

// limited gives d from now on, for what comes after sbatch.
func (c Call) limited(d time.Duration) (context.Context, context.CancelFunc) {
	if c.limit != nil {
		return c.limit(context.Background(), c.Now().Add(d))
	}
	return context.WithTimeout(context.Background(), d)
}

// readSite reads the node's file.
func (c Call) readSite() Site {
	s, err := site.Read(c.SiteFile)
	if errors.Is(err, site.ErrNotPlain) && c.Full != nil {
		return c.Full()
	}
	return s
}

// Disabled says that the caller or the site wants the plain sbatch.
func Disabled(getenv func(string) string, exists func(path string) bool) bool {
	if v := getenv("ERGON_DISABLE"); v != "" && v != "0" {
		return true
	}
	dir := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) && getenv("HOME") != "" {
		dir = filepath.Join(getenv("HOME"), ".config")
	}
	return dir != "" && exists(filepath.Join(dir, "ergon", "off")) || exists("/etc/ergon/disabled")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
