//go:build !ergon_crash

package main

import (
	"github.com/ergon-hpc/ergon/agent/internal/daemon"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
)

// crashHook is nothing in every build but those of crash tests (-tags ergon_crash).
func crashHook(func(string) string) journal.Crash { return nil }

// crashAges shortens nothing in every build but those of crash tests.
func crashAges(func(string) string) daemon.Ages { return daemon.Ages{} }
