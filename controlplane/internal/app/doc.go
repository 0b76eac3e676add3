// Package app joins the parts of ergon-server: New builds everything, Run serves until its context ends, Close releases.
//
// A feature is joined in a file of its own, wire_<feature>.go, by a method on builder that may
//   - set its handlers:           b.handlers.Files = httpapi.NewFiles(service)
//   - register a readiness check: b.check("store", service.Ping)
//   - register background work:   b.run("queue", queue.Run)          (started in order, stopped in reverse order)
//   - register what to release:   b.closeLast(pool.Close)
//   - use b.cfg, b.deps (Log, Now, Rand), b.store, b.metrics, b.dir (nil when nothing is kept locally), b.secret
//     (derive keys with b.derive) and services of features wired before it.
package app
