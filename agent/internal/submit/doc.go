// Package submit is `ergon sbatch`: it tags a submission, tells the agent, and runs the real sbatch. It never harms a
// submission: whatever goes wrong on our side, sbatch runs with the caller's own arguments and environment, at most
// Budget later than it would have, and its output and exit code pass through untouched (design 02).
package submit
