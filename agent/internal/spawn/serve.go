package spawn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// parent serves the orders of the broker.
type parent struct {
	cfg    ParentConfig
	orders *net.UnixConn
	log    *slog.Logger

	mu      sync.Mutex
	next    uint64
	helpers map[uint64]*exec.Cmd
	reaping sync.WaitGroup
}

func newParent(cfg ParentConfig, orders *net.UnixConn) *parent {
	cfg.UIDMin = cmp.Or(cfg.UIDMin, 1000)
	cfg.MaxHelpers = cmp.Or(cfg.MaxHelpers, 32)
	return &parent{cfg: cfg, orders: orders, log: cfg.Log, helpers: map[uint64]*exec.Cmd{}}
}

// serve ends with the broker, which closes its end when it ends.
func (p *parent) serve(ctx context.Context) error {
	for {
		var o order
		file, err := receivePacket(p.orders, &o)
		if file != nil {
			_ = file.Close() // the broker has nothing to hand to us
		}
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.obey(ctx, o); err != nil {
			return err
		}
	}
}

// obey answers one order. Only a broken socket is an error.
func (p *parent) obey(ctx context.Context, o order) error {
	if o.Spawn == nil {
		p.kill(o.Kill)
		return sendPacket(p.orders, report{}, nil)
	}
	token, socket, err := p.spawn(ctx, *o.Spawn)
	if err != nil {
		p.log.Warn("no helper started", "uid", *o.Spawn, "error", err)
		return sendPacket(p.orders, report{Error: err.Error(), Refused: errors.Is(err, errRefused)}, nil)
	}
	return errors.Join(sendPacket(p.orders, report{Token: token}, socket), socket.Close())
}

// errRefused says that no helper may run for the uid.
var errRefused = errors.New("no helper may run for this uid")

func (p *parent) spawn(ctx context.Context, uid uint32) (uint64, *os.File, error) {
	if uid < p.cfg.UIDMin {
		return 0, nil, fmt.Errorf("uid %d is below %d: %w", uid, p.cfg.UIDMin, errRefused)
	}
	account, err := Lookup(ctx, strconv.FormatUint(uint64(uid), 10))
	if errors.Is(err, ErrNoUser) || (err == nil && account.UID != uid) {
		return 0, nil, fmt.Errorf("uid %d: %w", uid, errRefused)
	}
	if err != nil {
		return 0, nil, err
	}
	ours, theirs, err := pair(unix.SOCK_STREAM)
	if err != nil {
		return 0, nil, err
	}
	token, err := p.start(account, theirs)
	if err = errors.Join(err, theirs.Close()); err != nil {
		return 0, nil, errors.Join(err, ours.Close())
	}
	return token, ours, nil
}

func (p *parent) start(account Account, theirs *os.File) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.helpers) >= p.cfg.MaxHelpers {
		return 0, fmt.Errorf("%d helpers run already", len(p.helpers))
	}
	cmd := command("/proc/self/exe", theirs)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account.credential()}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting a helper for %s: %w", account.Name, err)
	}
	p.next++
	token := p.next
	p.helpers[token] = cmd
	p.reaping.Go(func() {
		_ = cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.helpers, token)
	})
	return token, nil
}

// kill ends a helper; one that has ended already is no error.
func (p *parent) kill(token uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cmd, runs := p.helpers[token]; runs {
		_ = cmd.Process.Kill()
	}
}

// killAll ends what the broker left behind.
func (p *parent) killAll() {
	p.mu.Lock()
	for _, cmd := range p.helpers {
		_ = cmd.Process.Kill()
	}
	p.mu.Unlock()
	p.reaping.Wait()
}
