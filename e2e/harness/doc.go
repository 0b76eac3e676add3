// Package harness gives end-to-end tests the real things they run against: a private
// Slurm cluster, a private PostgreSQL, network namespaces, users, and processes that
// are started, watched and killed.
//
// Everything starts on loopback under its own prefix and port range, so that suites of
// several packages may run at the same time. Each value that is started has a Close,
// which leaves no process, cgroup, mount or file behind. What a killed test binary left
// is removed by the next one that starts the same kind of thing.
//
// A suite shares one cluster, started in TestMain:
//
//	func TestMain(m *testing.M) {
//		os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
//			cluster, err = h.StartSlurm(ctx, harness.SlurmOptions{Nodes: 2})
//			return err
//		}))
//	}
package harness
