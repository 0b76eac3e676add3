// Package buildinfo says which build of Ergon is running.
package buildinfo

import "runtime/debug"

// Version is set by the linker (-X) in release builds; a plain `go build` leaves it "dev".
var Version = "dev"

// String returns the version, and the revision where the toolchain recorded one.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return Version + " (" + s.Value[:12] + ")"
		}
	}
	return Version
}
