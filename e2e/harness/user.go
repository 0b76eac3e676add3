package harness

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// User is a Unix user that tests act as.
type User struct {
	Name   string
	UID    uint32
	GID    uint32
	Groups []uint32
	Home   string
}

// LookupUser reads a user from the system. dev/slurm creates alice, bob and carol.
func LookupUser(name string) (User, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return User{}, fmt.Errorf("looking up user %s: %w", name, err)
	}
	groups, err := found.GroupIds()
	if err != nil {
		return User{}, fmt.Errorf("looking up groups of %s: %w", name, err)
	}
	ids, err := parseIDs(append([]string{found.Uid, found.Gid}, groups...))
	if err != nil {
		return User{}, fmt.Errorf("looking up user %s: %w", name, err)
	}
	return User{Name: name, UID: ids[0], GID: ids[1], Groups: ids[2:], Home: found.HomeDir}, nil
}

func parseIDs(texts []string) ([]uint32, error) {
	ids := make([]uint32, len(texts))
	for i, text := range texts {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, err
		}
		ids[i] = uint32(id)
	}
	return ids, nil
}

// Credential makes a child run as the user, with the user's groups and no others.
func (u User) Credential() *syscall.Credential {
	return &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: u.Groups}
}

// Env is a clean login environment plus extra NAME=VALUE words, which win.
func (u User) Env(extra ...string) []string {
	env := []string{
		"HOME=" + u.Home, "USER=" + u.Name, "LOGNAME=" + u.Name, "SHELL=/bin/bash",
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
	}
	for _, word := range extra {
		name, _, _ := strings.Cut(word, "=")
		env = slices.DeleteFunc(env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
	}
	return append(env, extra...)
}
