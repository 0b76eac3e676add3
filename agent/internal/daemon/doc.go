// Package daemon runs the agent: it joins journal, tracking, socket, control plane and uploads, owns every goroutine and
// ends them in order. Shutdown: the first signal ends it gracefully within 20 s, a second at once.
package daemon
