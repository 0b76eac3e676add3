package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/ergon-hpc/ergon/agent/internal/durable"
)

// errScriptChanged says that somebody else wrote the script meanwhile.
var errScriptChanged = errors.New("the script changed while ergon looked at it; nothing was written. Run the command again")

// write replaces the script: all of it or nothing, with its mode, and only when it is still what was read.
func (s *batchScript) write() error {
	text, info, err := readScript(s.path)
	if err != nil {
		return err
	}
	if text != s.text || !os.SameFile(info, s.info) || info.Mode() != s.info.Mode() {
		return errScriptChanged
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case int(st.Uid) != os.Geteuid():
			return fmt.Errorf("%s belongs to another user; copy it, or apply the diff yourself", s.path)
		case st.Nlink > 1:
			return fmt.Errorf("%s has %d names (hard links), which writing would part; apply the diff yourself", s.path, st.Nlink)
		}
	}
	return durable.WriteFile(s.path, []byte(s.changed), info.Mode().Perm())
}
