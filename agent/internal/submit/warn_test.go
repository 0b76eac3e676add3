package submit

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// atTerminal runs the wrapper with its stderr on a pseudo terminal (pty(7)) and gives what a human reads.
func (b *bench) atTerminal(stdin string, args ...string) string {
	b.t.Helper()
	return b.onTerminal(stdin, func(cmd *exec.Cmd) {
		if err := cmd.Run(); err != nil {
			b.t.Fatal(err)
		}
	}, args...)
}

// onTerminal has run do it.
func (b *bench) onTerminal(stdin string, run func(*exec.Cmd), args ...string) string {
	b.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		b.t.Skipf("this machine gives no terminals to tests: %v", err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		b.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		b.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer slave.Close()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env, cmd.Dir, cmd.Stderr, cmd.Stdin = b.env, b.home, slave, strings.NewReader(stdin)
	run(cmd)
	if _, err := slave.WriteString("end\n"); err != nil {
		b.t.Fatal(err)
	}
	var said strings.Builder
	for buf := make([]byte, 4096); !strings.HasSuffix(said.String(), "end\r\n"); {
		k, err := master.Read(buf)
		if err != nil {
			b.t.Fatal(err)
		}
		said.Write(buf[:k])
	}
	return strings.TrimSuffix(said.String(), "end\r\n")
}

func TestATerminalIsToldWhetherTheTagFindsTheJob(t *testing.T) {
	t.Parallel()
	script := "#!/bin/sh\nhostname\n"
	cases := map[string]struct {
		stdin string
		args  func(b *bench) []string
		want  string
	}{
		"tagged":            {"", func(b *bench) []string { return []string{b.script(script)} }, awayTagged},
		"script on a pipe":  {script, func(*bench) []string { return nil }, awayUntagged},
		"submits nothing":   {"", func(*bench) []string { return []string{"--version"} }, ""},
		"no such script":    {"", func(*bench) []string { return []string{"none.sh"} }, ""},
		"output for others": {"", func(b *bench) []string { return []string{"--parsable", b.script(script)} }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			want := c.want
			if want != "" {
				want = "ergon: " + want + "\r\n"
			}
			if got := b.atTerminal(c.stdin, c.args(b)...); got != want {
				t.Errorf("it reads %q, want %q", got, want)
			}
			if got := b.atTerminal(c.stdin, c.args(b)...); got != "" {
				t.Errorf("within the hour it reads %q", got)
			}
		})
	}
}

func TestAHomeThatHangsCostsTheWarningOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.hung("wrapper.warn")
	if got := b.atTerminal("", b.script("#!/bin/sh\nhostname\n")); got != "" {
		t.Errorf("it reads %q", got)
	}
	if call := b.one(); !strings.HasPrefix(call, "--comment=ergon1:") {
		t.Errorf("called with %q", call)
	}
}
