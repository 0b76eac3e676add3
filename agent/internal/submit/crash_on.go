//go:build ergon_crash

package submit

import (
	"os"
	"syscall"
)

// crashHook kills the wrapper −9 at the point that ERGON_CRASH_AT names.
func crashHook(env func(string) string) func(string) {
	want := env("ERGON_CRASH_AT")
	return func(at string) {
		if at == want {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}
}
