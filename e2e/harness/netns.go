package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace that lives as long as its holder process: no name and
// no mount is made for it, so nothing can be left behind.
type Namespace struct {
	Addr   netip.Addr // its end of the link
	holder *exec.Cmd
}

// NetPair is an agent's side and a server's side, joined by one link and nothing else.
// Each has its own loopback. Start a cluster inside the agent's side with SlurmOptions.Namespace.
type NetPair struct {
	Agent, Server *Namespace
}

// StartNetPair makes the two namespaces and their link. Needs root.
func StartNetPair(ctx context.Context) (*NetPair, error) {
	if err := errors.Join(requireRoot("a network namespace"), requirePrograms("ip", "nsenter", "unshare")); err != nil {
		return nil, err
	}
	pair := &NetPair{}
	var err error
	if pair.Agent, err = newNamespace(ctx, "192.0.2.1"); err != nil {
		return nil, err
	}
	if pair.Server, err = newNamespace(ctx, "192.0.2.2"); err != nil {
		return nil, errors.Join(err, pair.Close())
	}
	if err := pair.join(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("joining two namespaces: %w", err), pair.Close())
	}
	return pair, nil
}

// Close ends both namespaces. Processes still inside keep theirs until they end.
func (p *NetPair) Close() error {
	return errors.Join(p.Agent.close(), p.Server.close())
}

// 192.0.2.0/24 is TEST-NET-1 (RFC 5737): never a real neighbour.
func (p *NetPair) join(ctx context.Context) error {
	agent, server := p.Agent.pid(), p.Server.pid()
	link := []string{
		"ip", "link", "add", "e2e0", "netns", agent, "type", "veth",
		"peer", "name", "e2e0", "netns", server,
	}
	if _, err := hostSpec(link...).must(ctx); err != nil {
		return err
	}
	return errors.Join(p.Agent.configure(ctx), p.Server.configure(ctx))
}

func newNamespace(ctx context.Context, addr string) (*Namespace, error) {
	// It has to outlive ctx: close ends it.
	holder := exec.CommandContext(context.WithoutCancel(ctx), "unshare", "--net", "sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := holder.Start(); err != nil {
		return nil, fmt.Errorf("making a network namespace: %w", err)
	}
	ns := &Namespace{Addr: netip.MustParseAddr(addr), holder: holder}
	if err := ns.waitSeparate(ctx); err != nil {
		return nil, errors.Join(err, ns.close())
	}
	return ns, nil
}

// waitSeparate returns when the holder has left the host's namespace.
func (n *Namespace) waitSeparate(ctx context.Context) error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("making a network namespace: %w", err)
	}
	return poll(ctx, func() bool {
		theirs, err := os.Readlink(n.path())
		return err == nil && theirs != own
	}, "unshare --net made no namespace; is CAP_SYS_ADMIN missing?")
}

func (n *Namespace) configure(ctx context.Context) error {
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", n.Addr.String() + "/30", "dev", "e2e0"},
		{"ip", "link", "set", "e2e0", "up"},
	} {
		if _, err := (Spec{Namespace: n, Args: args, Env: os.Environ()}).must(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (n *Namespace) pid() string  { return strconv.Itoa(n.holder.Process.Pid) }
func (n *Namespace) path() string { return "/proc/" + n.pid() + "/ns/net" }

func (n *Namespace) close() error {
	if n == nil || n.holder.ProcessState != nil {
		return nil
	}
	if err := n.holder.Process.Kill(); err != nil {
		return fmt.Errorf("ending a network namespace: %w", err)
	}
	_ = n.holder.Wait() // it was killed: the status says so
	return nil
}

// wrap enters the namespace as root and only then becomes the user. Both programs exec,
// so the process keeps its pid.
func (n *Namespace) wrap(u User, args []string) []string {
	enter := []string{"/usr/bin/nsenter", "--net=" + n.path(), "--"}
	if u.Name != "" {
		groups := make([]string, len(u.Groups))
		for i, group := range u.Groups {
			groups[i] = itoa(group)
		}
		enter = append(enter, "/usr/bin/setpriv", "--reuid", itoa(u.UID), "--regid", itoa(u.GID),
			"--groups", strings.Join(groups, ","), "--")
	}
	return append(enter, args...)
}

// DialContext connects from inside the namespace; it fits http.Transport.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := n.inside(func() (err error) {
		// Literal addresses only: a name would be resolved on another thread, outside.
		conn, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// inside runs f on a thread that is in the namespace. A thread that cannot be brought
// back is given up: its goroutine ends locked to it (runtime.LockOSThread).
func (n *Namespace) inside(f func() error) error {
	result := make(chan error, 1)
	go func() { result <- n.onThread(f) }()
	return <-result
}

func (n *Namespace) onThread(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering a network namespace: %w", err)
	}
	defer home.Close()
	target, err := os.Open(n.path())
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering a network namespace: %w", err)
	}
	defer target.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering a network namespace: %w", err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
		runtime.UnlockOSThread()
	}
	return err
}

func hostSpec(args ...string) Spec { return Spec{Args: args, Env: os.Environ()} }
