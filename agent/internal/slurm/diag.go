package slurm

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// databaseQueue is the line of sdiag(1) that counts what slurmctld has not handed to slurmdbd yet.
const databaseQueue = "DBD Agent queue size:"

var errNoQueue = errors.New("sdiag does not show the queue to slurmdbd")

// DatabaseQueue asks sdiag how many messages wait for slurmdbd. Any user may ask.
func (r *Runner) DatabaseQueue(ctx context.Context) (int64, error) {
	out, err := r.run(ctx, "sdiag")
	if err != nil {
		return 0, err
	}
	return queueSize(string(out))
}

func queueSize(text string) (int64, error) {
	for line := range strings.Lines(text) {
		number, found := strings.CutPrefix(strings.TrimSpace(line), databaseQueue)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 {
			return 0, errNoQueue
		}
		return n, nil
	}
	return 0, errNoQueue
}
