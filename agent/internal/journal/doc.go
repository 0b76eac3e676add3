// Package journal is the agent's memory: one SQLite file on local disk (WAL, synchronous=FULL) that says what was
// intended, submitted, tracked and uploaded, and which events the control plane has not confirmed yet.
//
// Every external effect is preceded by a committed row. State machines are in state.go, docs/agent-journal.md draws
// them; a transition happens in transition.go only. When a call returns nil, the change survives a power cut. All calls
// are safe for concurrent use; one process opens a journal at a time.
package journal
