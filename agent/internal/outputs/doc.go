// Package outputs is the seam between the daemon, which knows when a job has ended and what the journal says, and the
// process that acts as the job's user: it walks, hashes, uploads. It holds types only and does nothing itself.
//
// Who owns what: the daemon decides when; a Worker touches files and sends bytes, and nothing else; Tickets talks to the
// control plane; Ledger is the journal. A Worker never decides a transition: it tells the Ledger before each external
// effect and after it, and the Ledger refuses what its state machine does not allow.
package outputs
