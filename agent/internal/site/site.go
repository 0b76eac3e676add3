// Package site is what the wrapper must know of the node and of its user's places before it may run sbatch: four settings
// of the node's file, and where state is kept. It reads the plain kind of YAML that such files are written in, and says so
// when a file is of another kind: a YAML library costs each submission more than the rest of the wrapper.
package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File is the site's file.
const File = "/etc/ergon/agent.yaml"

// Site is what the node's file says to the wrapper.
type Site struct {
	// Sbatch is the real sbatch; "" is the first on PATH that is not ours.
	Sbatch string
	// Carrier is comment or none: how a submission is marked.
	Carrier string
	// Base holds input and output directories; "~/" is the user's home.
	Base string
	// Scratch holds scratch directories; "%u" is the user's name. "" puts them below Base.
	Scratch string
}

// Default is what a file that says nothing means.
func Default() Site { return Site{Carrier: "comment", Base: "~/ergon/jobs"} }

// Read reads a file. ErrNotPlain says that only a YAML reader can; any other fault is not the user's who submits: the
// defaults count then, and `ergon doctor` says what is wrong.
func Read(path string) (Site, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return Default(), err
	}
	s, err := Parse(data)
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		return Default(), err
	}
	return s, nil
}

// Validate names every fault.
func (s Site) Validate() error {
	var faults []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	bad(s.Sbatch != "" && !filepath.IsAbs(s.Sbatch), "slurm.sbatch must be an absolute path, not %q", s.Sbatch)
	bad(s.Carrier != "comment" && s.Carrier != "none", "tag.carrier must be comment or none, not %q", s.Carrier)
	bad(s.Base == "" || !filepath.IsAbs(s.Base) && !strings.HasPrefix(s.Base, "~/"), "dirs.base must be absolute or begin with ~/, not %q", s.Base)
	bad(s.Scratch != "" && (!filepath.IsAbs(s.Scratch) || filepath.Clean(s.Scratch) == "/"), "dirs.scratch must be an absolute path below /, not %q", s.Scratch)
	return errors.Join(faults...)
}

// UserStateDir is $XDG_STATE_HOME/ergon, else ~/.local/state/ergon.
func UserStateDir(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ergon"), nil
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "ergon"), nil
	}
	return "", errors.New("HOME is not set; set it, or XDG_STATE_HOME, to an absolute path")
}
