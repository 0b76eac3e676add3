package spawn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// BrokerFDEnv names, in the broker's environment, the descriptor of its socket to the parent.
const BrokerFDEnv = "ERGON_AGENT_SPAWNER_FD"

// ListenFDEnv names, in the broker's environment, the descriptor of the listening socket that the parent made.
const ListenFDEnv = "ERGON_AGENT_LISTEN_FD"

// ParentConfig is all that the parent knows; it reads no file.
type ParentConfig struct {
	// Broker is the account that the broker runs as.
	Broker string
	// Args is the broker's argument list, without the program.
	Args []string
	// UIDMin is the lowest uid that a helper may run as (login.defs(5) UID_MIN; 1000 when zero).
	UIDMin uint32
	// MaxHelpers bounds how many helpers run at once (32 when zero).
	MaxHelpers int
	// Socket is the path of the socket for users, made here because its directory belongs to root. "" makes none,
	// as under socket activation.
	Socket string
	// StateDir is made for the broker with mode 0700 when it is missing.
	StateDir string
	Log      *slog.Logger
}

// RunParent gives up all capabilities but three, starts the broker without privileges, and serves the broker's orders
// until it ends. Signals go on to the broker. It returns the broker's exit code. Root only, and not under cgo:
// capabilities belong to threads, and only a Go runtime without C can change them on all of them.
func RunParent(ctx context.Context, cfg ParentConfig) (int, error) {
	runtime.LockOSThread() // Pdeathsig counts the death of the thread that started the broker
	defer runtime.UnlockOSThread()
	account, err := Lookup(ctx, cfg.Broker)
	if err != nil {
		return 1, fmt.Errorf("the agent's account %q: %w; make it with `systemd-sysusers` or `useradd --system`", cfg.Broker, err)
	}
	if account.UID == 0 {
		return 1, errors.New("the broker must not run as root: name an account without privileges")
	}
	if err := prepare(cfg, account); err != nil {
		return 1, err
	}
	if err := dropCapabilities(); err != nil {
		return 1, err
	}
	broker, orders, err := startBroker(ctx, cfg, account)
	if err != nil {
		return 1, err
	}
	stop := forwardSignals(broker.Process)
	defer stop()
	p := newParent(cfg, orders)
	served := p.serve(ctx)
	p.killAll()
	err = broker.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exitCode(exit), served
	}
	return 0, errors.Join(err, served)
}

// exitCode is the shell's convention for a process that a signal ended.
func exitCode(exit *exec.ExitError) int {
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

func prepare(cfg ParentConfig, broker Account) error {
	if cfg.StateDir == "" {
		return nil
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return fmt.Errorf("making the state directory: %w", err)
	}
	if err := os.Lchown(cfg.StateDir, int(broker.UID), int(broker.GID)); err != nil {
		return fmt.Errorf("giving the state directory to %s: %w", broker.Name, err)
	}
	return nil
}

// startBroker re-executes this binary as the broker, with a socket to us and, when asked for, one for the users.
func startBroker(ctx context.Context, cfg ParentConfig, account Account) (*exec.Cmd, *net.UnixConn, error) {
	ours, theirs, err := pair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command("/proc/self/exe", cfg.Args...) //nolint:noctx // our own binary; signals end it
	cmd.Args[0] = "ergon-agent"
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(os.Environ(), BrokerFDEnv+"=3", "HOME="+account.Home, "USER="+account.Name, "LOGNAME="+account.Name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account.credential(), Pdeathsig: syscall.SIGTERM}
	listener, err := listen(ctx, cfg.Socket)
	if err != nil {
		return nil, nil, errors.Join(err, ours.Close(), theirs.Close())
	}
	if listener != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, listener)
		cmd.Env = append(cmd.Env, ListenFDEnv+"="+strconv.Itoa(helperFD+1))
		defer func() { _ = listener.Close() }()
	}
	if err := errors.Join(cmd.Start(), theirs.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("starting the broker: %w", err), ours.Close())
	}
	c, err := conn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return cmd, c, nil
}

func (a Account) credential() *syscall.Credential {
	return &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}
}

// forwardSignals hands what a service manager sends to the broker, which decides what it means.
func forwardSignals(to *os.Process) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range signals {
			_ = to.Signal(s)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}
