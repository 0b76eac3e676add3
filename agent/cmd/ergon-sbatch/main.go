// Command ergon-sbatch is the wrapper of sbatch alone: what `ergon sbatch` does, in a program that is small enough to be
// started by every submission of a cluster. Links named sbatch lead to it. It has no options: all arguments are sbatch's.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/submit"
	"github.com/ergon-hpc/ergon/agent/internal/term"
)

func main() {
	code, err := submit.Run(submit.New(time.Now(), os.Args[1:]).BesideFull())
	if err != nil {
		fmt.Fprintln(os.Stderr, "ergon: "+term.Clean(err.Error()))
	}
	os.Exit(code)
}
