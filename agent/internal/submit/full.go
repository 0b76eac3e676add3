package submit

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ergon-hpc/ergon/agent/internal/site"
)

// InputsCommand is ergon's command that stages: DIR NAME….
const InputsCommand = "stage-inputs"

// BesideFull has ergon, which stands beside this program, do what takes a YAML reader or a client of the server.
func (c Call) BesideFull() Call {
	ergon := filepath.Join(filepath.Dir(c.Self), "ergon")
	c.Full = func() Site {
		_ = syscall.Exec(ergon, append([]string{"ergon", "sbatch"}, c.Args...), c.Environ)
		return site.Default() // it is not there
	}
	c.Stage = func(ctx context.Context, dir string, inputs []string) error {
		var said strings.Builder
		cmd := exec.CommandContext(ctx, ergon, append([]string{InputsCommand, dir}, inputs...)...)
		cmd.Env, cmd.Stderr = c.Environ, &said
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it removes what is half there
		cmd.WaitDelay = stageEnd / 2
		err := cmd.Run()
		if text := strings.TrimPrefix(strings.TrimSpace(said.String()), "ergon: "); err != nil && text != "" {
			return errors.New(text)
		}
		if err != nil {
			return fmt.Errorf("running %s: %w", ergon, err)
		}
		return nil
	}
	return c
}
