package site

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// settings ask Slurm more often than a site would, so that tests need not wait.
func (s *Site) settings() string {
	return fmt.Sprintf(`log_level: debug
slurm:
  conf: %s
  poll_interval: 500ms
  squeue_per_minute: 240
  sacct_per_minute: 240
  scontrol_per_minute: 600
  sstat_per_minute: %d
accounting:
  lookback: 1h
  window_every: 1s
%s`, s.Slurm.Conf, s.opt.SstatPerMinute, orDefault(s.opt.AgentYAML, "uploads:\n  enabled: true\n  settle: 1s\n"))
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Socket is where users reach the agent.
func (s *Site) Socket() string { return s.path("run", "agent", "agent.sock") }

// StateDir is the agent's.
func (s *Site) StateDir() string { return s.path("agent") }

func (s *Site) siteFile() string { return s.path("etc", "agent.yaml") }

func (s *Site) agentArgs(words ...string) []string {
	return append(words, "--system", "--config", s.siteFile(), "--state-dir", s.StateDir(), "--socket", s.Socket(), "--run-as", account)
}

// Enrol makes the cluster known and enrols the node's agent.
func (s *Site) Enrol(ctx context.Context) error {
	if err := s.writeSettings(); err != nil {
		return err
	}
	program, err := s.program("ergon-agent")
	if err != nil {
		return err
	}
	if _, err := s.Admin(ctx, "", "cluster", "create", Cluster); err != nil {
		return err
	}
	token, err := s.Admin(ctx, "", "enrol", "--cluster", Cluster, "--kind", "system")
	if err != nil {
		return err
	}
	spec := harness.Spec{Namespace: s.agentSide(), Dir: s.Dir, Env: s.rootEnv(), Args: s.agentArgs(program, "enrol", "--server", s.URL, "--name", "login1")}
	result, err := RunWithInput(ctx, spec, token)
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("enrolling the agent ended with %d: %s", result.Code, result.Stderr)
	}
	return err
}

// AgentCommand runs one of the commands of the node's agent as root, with extra words in its environment and further flags, to its end.
func (s *Site) AgentCommand(ctx context.Context, extra []string, name string, further ...string) (harness.Result, error) {
	program, err := s.program("ergon-agent")
	if err != nil {
		return harness.Result{}, err
	}
	return harness.Spec{
		Namespace: s.agentSide(), Dir: s.Dir, Env: s.rootEnv(extra...), Args: append(s.agentArgs(program, name), further...),
	}.Run(ctx)
}

// StartAgent starts the node's agent and returns when users reach it.
func (s *Site) StartAgent(ctx context.Context, extra ...string) error {
	program, err := s.program("ergon-agent")
	if err != nil {
		return err
	}
	if s.agent, err = harness.Launch("ergon-agent", harness.Spec{ //nolint:contextcheck // it outlives ctx: end kills it
		Namespace: s.agentSide(), Dir: s.Dir, Env: s.rootEnv(extra...), Args: s.agentArgs(program, "run"),
	}); err != nil {
		return err
	}
	s.adopt(s.agent)
	return s.waitAgent(ctx)
}

func (s *Site) waitAgent(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(s.agent.Log(), "agent is running") {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.agent.Done():
			return fmt.Errorf("ergon-agent ended at once: %s", tail(s.agent.Log()))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("ergon-agent is not running after 30 s: %s", tail(s.agent.Log()))
		}
	}
	return nil
}

// Agent is the node's agent, running or not.
func (s *Site) Agent() *harness.Process { return s.agent }

// Server is the server's process, running or not.
func (s *Site) Server() *harness.Process { return s.server }

// KillAgent ends the agent's parent, its broker and its helpers by SIGKILL.
func (s *Site) KillAgent() error {
	if s.agent == nil {
		return nil
	}
	// A broker that lost its parent ends by itself; a crash of the node leaves neither.
	pids := s.Processes("ergon-agent")
	err := s.agent.Kill()
	for _, pid := range pids {
		_ = kill(pid) // it may have ended
	}
	for _, pid := range pids {
		if err == nil {
			err = waitGone(pid)
		}
	}
	return err
}

// StopAgent asks the agent to end.
func (s *Site) StopAgent() error {
	code, err := s.agent.Stop(25 * time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("ergon-agent ended with %d: %s", code, tail(s.agent.Log()))
	}
	return err
}

// Settings writes other settings for the agent's next start; the text is as in Options.AgentYAML.
func (s *Site) Settings(text string) error {
	s.opt.AgentYAML = text
	return s.writeSettings()
}

func (s *Site) writeSettings() error {
	if err := os.WriteFile(s.siteFile(), []byte(s.settings()), 0o644); err != nil { //nolint:gosec // the wrapper reads it as each user
		return fmt.Errorf("writing the agent's settings: %w", err)
	}
	return nil
}
