package spawn

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// getent is the only source of users and groups: NSS with LDAP and SSSD, without cgo.
const getent = "/usr/bin/getent"

// getentTimeout ends a lookup whose name service does not answer.
const getentTimeout = 5 * time.Second

// ErrNoUser says that the name service knows no such user.
var ErrNoUser = errors.New("no such user")

// Account is a user as getent(1) knows it.
type Account struct {
	Name   string
	UID    uint32
	GID    uint32
	Home   string
	Groups []uint32
}

// Lookup asks for a user by name or by uid in decimal, with its supplementary groups.
func Lookup(ctx context.Context, user string) (Account, error) {
	line, err := query(ctx, "passwd", user)
	if err != nil {
		return Account{}, err
	}
	account, err := parsePasswd(line)
	if err != nil {
		return Account{}, err
	}
	line, err = query(ctx, "initgroups", account.Name)
	if err != nil {
		return Account{}, err
	}
	account.Groups, err = parseGroups(line, account)
	return account, err
}

// Name asks for the name of a uid.
func Name(ctx context.Context, uid uint32) (string, error) {
	line, err := query(ctx, "passwd", strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return "", err
	}
	account, err := parsePasswd(line)
	return account.Name, err
}

func query(ctx context.Context, database, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, getentTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, getent, database, "--", key)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 2 { // getent(1): key not found
		return "", fmt.Errorf("getent %s %q: %w", database, key, ErrNoUser)
	}
	if err != nil {
		return "", fmt.Errorf("getent %s %q: %w", database, key, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}

// parsePasswd reads name:password:uid:gid:gecos:home:shell (passwd(5)).
func parsePasswd(line string) (Account, error) {
	f := strings.Split(line, ":")
	if len(f) != 7 || f[0] == "" {
		return Account{}, fmt.Errorf("getent passwd: %d fields instead of 7", len(f))
	}
	uid, errUID := strconv.ParseUint(f[2], 10, 32)
	gid, errGID := strconv.ParseUint(f[3], 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return Account{}, fmt.Errorf("getent passwd: %w", err)
	}
	return Account{Name: f[0], UID: uint32(uid), GID: uint32(gid), Home: f[5]}, nil
}

// parseGroups reads "name  gid gid …". The primary group is always among them.
func parseGroups(line string, a Account) ([]uint32, error) {
	fields := strings.Fields(line)
	if len(fields) == 0 || fields[0] != a.Name {
		return nil, fmt.Errorf("getent initgroups: an answer for another user than %q", a.Name)
	}
	groups := []uint32{a.GID}
	for _, text := range fields[1:] {
		gid, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("getent initgroups: %w", err)
		}
		if uint32(gid) != a.GID {
			groups = append(groups, uint32(gid))
		}
	}
	return groups, nil
}
