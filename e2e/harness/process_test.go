package harness

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func shell(script string) Spec {
	return Spec{Env: rootEnv(), Args: []string{"/bin/bash", "-c", script}}
}

func TestRunReturnsStreamsAndStatus(t *testing.T) {
	got, err := shell("echo out; echo err >&2; exit 3").Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Stdout != "out\n" || got.Stderr != "err\n" || got.Code != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestRunSaysThatASignalEndedIt(t *testing.T) {
	got, err := shell("kill -KILL $$").Run(t.Context())
	if err != nil || got.Code != -1 {
		t.Errorf("got %+v, %v; want code -1", got, err)
	}
}

func TestRunOfAnAbsentProgramIsAnError(t *testing.T) {
	if _, err := (Spec{Args: []string{"/nonexistent/x"}}).Run(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestProcessIsStoppedGracefully(t *testing.T) {
	p := Start(t, "trap", shell(`trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done`))
	p.WaitLog(t, "ready", 5*time.Second)
	code, err := p.Stop(5 * time.Second)
	if err != nil || code != 7 {
		t.Errorf("Stop = %d, %v; want 7", code, err)
	}
	if !contains(p.Log(), "bye") {
		t.Errorf("log %q lacks the last words", p.Log())
	}
	if err := p.Kill(); err != nil {
		t.Errorf("Kill after the end: %v", err)
	}
}

func TestKillEndsTheChildrenToo(t *testing.T) {
	p := Start(t, "parent", shell(`sleep 1000 & echo child $! ; wait`))
	p.WaitLog(t, "child", 5*time.Second)
	child := atoi(t, strings.Fields(p.Log())[1])
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 5*time.Second, func() (bool, string) { return Gone(child), "the child still runs" })
	if code, err := p.Wait(t.Context()); err != nil || code != -1 {
		t.Errorf("Wait = %d, %v; want -1", code, err)
	}
}

func TestStopThatIsIgnoredIsAnError(t *testing.T) {
	p := Start(t, "stubborn", shell(`trap '' TERM; echo ready; while :; do sleep 0.05; done`))
	p.WaitLog(t, "ready", 5*time.Second)
	if _, err := p.Stop(100 * time.Millisecond); err == nil {
		t.Error("no error for a program that ignores SIGTERM")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	p := Start(t, "sleep", shell("exec sleep 1000"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(ctx); err == nil {
		t.Error("Wait returned without an error")
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}
