package submit

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/ergon-hpc/ergon/agent/internal/durable"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// spool keeps what no agent took, for the next call. Its loss costs the declared outputs, never the job: the tag stays.
func (c Call) spool(r socket.Result, write func(path string, data []byte) error) bool {
	if c.StateDir == "" {
		return false
	}
	c.at("wrapper.spool")
	dir := filepath.Join(c.StateDir, "spool")
	data, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	return err == nil && write(filepath.Join(dir, r.SubmissionID.String()+".json"), data) == nil
}

// safely is for after sbatch.
func safely(path string, data []byte) error { return durable.WriteFile(path, data, 0o600) }

// quickly waits for no disk, as sbatch waits for us: a power cut may cost what was declared.
func quickly(path string, data []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return os.Rename(temp, path)
}

// spoolBatch is how many kept results one call hands in.
const spoolBatch = 20

// FlushSpool hands in what earlier calls could not tell an agent. What is refused is dropped, what fails is kept.
func FlushSpool(ctx context.Context, stateDir string, agent *socket.Client) {
	files, _ := filepath.Glob(filepath.Join(stateDir, "spool", "*.json"))
	for _, path := range files[:min(len(files), spoolBatch)] {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var r socket.Result
		if json.Unmarshal(data, &r) == nil {
			if err := agent.Result(ctx, r); err != nil && !refused(err) {
				return
			}
		}
		_ = os.Remove(path)
	}
}
