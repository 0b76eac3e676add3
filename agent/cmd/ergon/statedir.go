package main

import (
	"errors"
	"path/filepath"
)

// stateDir is where this user's own state lies that may be lost: $ERGON_STATE_DIR, else $XDG_STATE_HOME/ergon, else
// ~/.local/state/ergon.
func (a *app) stateDir() (string, error) {
	if dir := a.Env("ERGON_STATE_DIR"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if dir := a.Env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ergon"), nil
	}
	if home := a.Env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "ergon"), nil
	}
	return "", errors.New("HOME is not set; set it, or ERGON_STATE_DIR, to an absolute path")
}
