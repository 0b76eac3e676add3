package submit

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// ErrNoSbatch says that there is no real sbatch.
var ErrNoSbatch = errors.New("no sbatch was found; set slurm.sbatch in /etc/ergon/agent.yaml, or put Slurm's directory on PATH")

// FindSbatch gives the site's sbatch, or the first on path that is not this program under another name.
func FindSbatch(site, path, self string) (string, error) {
	if site != "" {
		return site, nil
	}
	own, err := os.Stat(self)
	if err != nil {
		own = nil
	}
	for _, dir := range filepath.SplitList(path) {
		candidate := filepath.Join(dir, "sbatch")
		info, err := os.Stat(candidate) // follows links: a link to us is us
		if err != nil || info.IsDir() || info.Mode().Perm()&0o111 == 0 || own != nil && os.SameFile(info, own) || isOurs(candidate) {
			continue
		}
		return filepath.Abs(candidate)
	}
	return "", ErrNoSbatch
}

// isOurs knows a link to Ergon by the name at its end: there are two programs that links may lead to, and two copies of
// one, and each would take the other for sbatch for ever.
func isOurs(path string) bool {
	target, err := filepath.EvalSymlinks(path)
	return err == nil && (filepath.Base(target) == "ergon" || filepath.Base(target) == "ergon-sbatch")
}

func (c Call) find(site string) (string, error) {
	return FindSbatch(site, c.Getenv("PATH"), c.Self)
}

// refused says that an agent answered and will never take this.
func refused(err error) bool {
	var e *socket.Error
	return errors.As(err, &e) && e.Status >= 400 && e.Status < 429
}
