package site

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// Person is a unix user of the site with an account at the server.
type Person struct {
	*Client
	Name string
	// Home is the person's own below the site: suites that run side by side share the unix users.
	Home string
	// Extra is laid over the environment of every command.
	Extra []string

	site     *Site
	unix     harness.User
	password string
}

// Visit makes a home for a unix user who has no account.
func (s *Site) Visit(name string) (*Person, error) {
	p := &Person{Name: name, Home: s.path("home", name), site: s, password: rand.Text(), Client: s.anonymous()}
	var err error
	if p.unix, err = harness.LookupUser(name); err != nil {
		return nil, err
	}
	if err := os.Mkdir(p.Home, 0o700); err != nil {
		return nil, fmt.Errorf("making a home: %w", err)
	}
	if err := os.Chown(p.Home, int(p.unix.UID), int(p.unix.GID)); err != nil {
		return nil, fmt.Errorf("making a home: %w", err)
	}
	return p, nil
}

// Join makes a person's home and account, logs in on the node, and (where an agent runs) links the unix user.
func (s *Site) Join(ctx context.Context, name string) (*Person, error) {
	p, err := s.Visit(name)
	if err != nil {
		return nil, err
	}
	return p, p.Enter(ctx)
}

// Enter gives a visitor an account, and links the unix user where an agent runs.
func (p *Person) Enter(ctx context.Context) (err error) {
	s := p.site
	if err := p.expect(ctx, p.password, "ergon", "login", "--server", s.URL, "--user", p.Name, "--register", "--password-stdin"); err != nil {
		return err
	}
	if !s.opt.NoAgent {
		if err := p.expect(ctx, "", "ergon", "link", "--yes"); err != nil {
			return err
		}
	}
	p.Client, err = s.login(ctx, p.Name, p.password)
	return err
}

func (p *Person) expect(ctx context.Context, stdin string, args ...string) error {
	result, err := RunWithInput(ctx, p.Spec(args...), stdin)
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("%s ended with %d: %s%s", strings.Join(args[:2], " "), result.Code, result.Stdout, result.Stderr)
	}
	return err
}

// Spec prepares a command of the person's. "ergon" and "ergon-agent" are the programs under test.
func (p *Person) Spec(args ...string) harness.Spec {
	args = append([]string{}, args...)
	if program, err := p.site.program(args[0]); err == nil && strings.HasPrefix(args[0], "ergon") {
		args[0] = program
	}
	env := []string{
		"HOME=" + p.Home, "PATH=/usr/local/bin:/usr/bin:/bin", "SLURM_CONF=" + p.site.Slurm.Conf, "ERGON_SITE_CONFIG=" + p.site.siteFile(),
	}
	if !p.site.opt.NoAgent {
		env = append(env, "ERGON_AGENT_SOCKET="+p.site.Socket())
	}
	if p.site.ca != nil {
		env = append(env, "SSL_CERT_FILE="+p.site.ca.certFile)
	}
	return harness.Spec{User: p.unix, Namespace: p.site.agentSide(), Dir: p.Home, Env: append(env, p.Extra...), Args: args}
}

// Run runs a command of the person's to its end.
func (p *Person) Run(t testing.TB, args ...string) harness.Result {
	t.Helper()
	return p.RunInput(t, "", args...)
}

// RunInput is Run with text on standard input.
func (p *Person) RunInput(t testing.TB, stdin string, args ...string) harness.Result {
	t.Helper()
	result, err := RunWithInput(t.Context(), p.Spec(args...), stdin)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Must is Run for a command that has to succeed; it returns standard output.
func (p *Person) Must(t testing.TB, args ...string) string {
	t.Helper()
	result := p.Run(t, args...)
	if result.Code != 0 {
		t.Fatalf("%s ended with %d:\n%s%s", strings.Join(args, " "), result.Code, result.Stdout, result.Stderr)
	}
	return result.Stdout
}

// Write puts a file of the person's below the home and returns its path.
func (p *Person) Write(t testing.TB, name, content string, mode os.FileMode) string {
	t.Helper()
	return p.WriteIn(t, p.Home, name, content, mode)
}

// WriteIn is Write for another directory.
func (p *Person) WriteIn(t testing.TB, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	path := dir + "/" + name
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, int(p.unix.UID), int(p.unix.GID)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Mkdir makes a fresh directory of the person's below the home.
func (p *Person) Mkdir(t testing.TB) string {
	t.Helper()
	dir := p.Home + "/" + rand.Text()[:12]
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, int(p.unix.UID), int(p.unix.GID)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Sbatch submits a script through the wrapper and returns Slurm's id.
func (p *Person) Sbatch(t testing.TB, script string, options ...string) string {
	t.Helper()
	path := p.Write(t, fmt.Sprintf("job-%s.sh", rand.Text()[:8]), script, 0o755)
	return p.SbatchFile(t, append(options, path)...)
}

// SbatchFile is Sbatch with options, a script that is there, and its arguments.
func (p *Person) SbatchFile(t testing.TB, args ...string) string {
	t.Helper()
	out := p.Must(t, append([]string{"ergon", "sbatch", "--parsable"}, args...)...)
	id, _, _ := strings.Cut(strings.TrimSpace(out), ";")
	return id
}

// Jobs asks the server for the person's jobs of a Slurm id.
func (p *Person) Jobs(t testing.TB, slurmID string) []Job {
	t.Helper()
	var page struct{ Jobs []Job }
	status, err := p.Get(t.Context(), "/jobs?slurm_job_id="+url.QueryEscape(slurmID), &page)
	if err != nil || status != http.StatusOK {
		return nil // the caller waits, and says what is missing
	}
	return page.Jobs
}

// Files lists the stored objects of a job by its id at the server; "" lists all.
func (p *Person) Files(t testing.TB, jobID string) []File {
	t.Helper()
	query := ""
	if jobID != "" {
		query = "&job_id=" + jobID
	}
	var page struct{ Files []File }
	status, err := p.Get(t.Context(), "/files/list?limit=1000"+query, &page)
	if err != nil || status != http.StatusOK {
		t.Fatalf("listing files: %d %v", status, err)
	}
	return page.Files
}

// Events lists a job's events.
func (p *Person) Events(t testing.TB, jobID string) []Event {
	t.Helper()
	var page struct{ Events []Event }
	status, err := p.Get(t.Context(), "/jobs/"+jobID+"/events?limit=500", &page)
	if err != nil || status != http.StatusOK {
		t.Fatalf("listing events: %d %v", status, err)
	}
	return page.Events
}

// Report gets a job's report; ok is false while there is none.
func (p *Person) Report(t testing.TB, jobID string) (r Report, ok bool) {
	t.Helper()
	status, err := p.Get(t.Context(), "/jobs/"+jobID+"/efficiency", &r)
	return r, err == nil && status == http.StatusOK
}

// Password is the account's, to look for where it must not be.
func (p *Person) Password() string { return p.password }

// Token is the client's access token, to look for where it must not be.
func (p *Person) Token() string { return p.token }

// UID is the unix user's number.
func (p *Person) UID() uint32 { return p.unix.UID }
