package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/submit"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/buildinfo"
	"github.com/spf13/cobra"
)

// agentCommands are those that talk to the agent on this node, or make one.
func (a *app) agentCommands() []*cobra.Command {
	return []*cobra.Command{
		a.sbatchCommand(), a.inputsCommand(), a.linkCommand(), a.unlinkCommand(), a.optoutCommand(), a.statusCommand(), a.agentCommand(), a.doctorCommand(),
		a.versionCommand(),
	}
}

// sbatchCommand only documents: main hands `ergon sbatch` over before any flag is looked at.
func (a *app) sbatchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "sbatch [sbatch's own arguments]", Short: "Submit a job; everything passes through to the real sbatch", DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if code := a.sbatch(a.Now(), args); code != 0 {
				return errors.New("sbatch failed")
			}
			return nil
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this program", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.Out, "ergon "+buildinfo.String())
			return err
		},
	}
}

// agentTimeout bounds a question to the agent; a link waits for the server behind it.
const agentTimeout = 70 * time.Second

func (a *app) withAgent(ctx context.Context, f func(context.Context, *socket.Client) error) error {
	c, err := socket.Find(ctx, a.Env)
	if err != nil {
		return err
	}
	defer c.Close()
	c.Each = agentTimeout
	if state, err := config.UserStateDir(a.Env); err == nil {
		submit.FlushSpool(ctx, state, c)
	}
	return f(ctx, c)
}

func (a *app) linkCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "link", Short: "Link your unix account on this cluster to your Ergon account", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAgent(c.Context(), func(ctx context.Context, agent *socket.Client) error { return a.link(ctx, agent, yes) })
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// link asks the server for a challenge, the human for consent, and lets the agent answer with the identity that the
// kernel proves.
func (a *app) link(ctx context.Context, agent *socket.Client, yes bool) error {
	m, err := a.sessions()
	if err != nil {
		return err
	}
	state, err := m.State(ctx)
	if err != nil {
		return err
	}
	status, err := agent.Status(ctx)
	if err != nil {
		return err
	}
	if !status.Enrolled {
		return errors.New("the agent here is not enrolled at a server; ask your administrators, or run your own: ergon agent enrol")
	}
	if status.Mode == "user" {
		fmt.Fprintln(a.Out, "Your own agent acts for your account already; nothing needs to be linked.")
		return nil
	}
	if status.Server != state.Server {
		return fmt.Errorf("you are logged in at %s, but the agent here belongs to %s; run: ergon login --server %s", state.Server, term.Clean(status.Server), term.Clean(status.Server))
	}
	question := fmt.Sprintf("Link unix account %s (uid %d) on cluster %s to Ergon account %s at %s?",
		term.Clean(status.UnixName), status.UID, term.Clean(status.Cluster), term.Clean(state.Username), state.Server)
	if err := a.confirm(question, yes); err != nil {
		return err
	}
	client, err := m.API(ctx)
	if err != nil {
		return err
	}
	resp, err := client.CreateLinkChallengeWithResponse(ctx, api.CreateLinkChallengeJSONRequestBody{Cluster: status.Cluster})
	if err != nil {
		return outbound.Explain(state.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusCreated); err != nil {
		return err
	}
	if resp.JSON201 == nil {
		return errors.New("the server answered without a challenge")
	}
	linked, err := agent.Link(ctx, resp.JSON201.Challenge)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Linked: %s (uid %d) on %s.\n", term.Clean(linked.UnixName), linked.UID, term.Clean(linked.Cluster))
	return nil
}

// errDeclined says that the human said no.
var errDeclined = errors.New("nothing was changed")

func (a *app) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	if !isTerminal(a.In) {
		return usageError{errors.New("standard input is no terminal; use --yes")}
	}
	fmt.Fprint(a.Err, question+" [y/N] ")
	answer, err := readLine(bufio.NewReader(a.In))
	if err != nil {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errDeclined
	}
	return nil
}

func (a *app) unlinkCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "unlink", Short: "Remove the link of your unix account; needs no login", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAgent(c.Context(), func(ctx context.Context, agent *socket.Client) error {
				if err := a.confirm("Stop collecting outputs of this unix account? Running jobs and files are not touched.", yes); err != nil {
					return err
				}
				if err := agent.Unlink(ctx); err != nil {
					return err
				}
				fmt.Fprintln(a.Out, "Unlinked.")
				return nil
			})
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// enrolCommand makes the user's own agent known, with the user's own access token.
func (a *app) enrolCommand() *cobra.Command {
	var cluster, stateDir string
	c := &cobra.Command{
		Use: "enrol --cluster NAME", Short: "Enrol your own agent on this node at the server where you are logged in", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.enrol(c.Context(), cluster, stateDir) },
	}
	c.Flags().StringVar(&cluster, "cluster", "", "name of this cluster (default: Slurm's ClusterName)")
	c.Flags().StringVar(&stateDir, "state-dir", "", "where the agent keeps its key (default ~/.local/state/ergon)")
	return c
}

func (a *app) enrol(ctx context.Context, cluster, stateDir string) error {
	if stateDir == "" {
		var err error
		if stateDir, err = config.UserStateDir(a.Env); err != nil {
			return err
		}
	}
	if cluster == "" {
		var err error
		if cluster, err = a.clusterName(ctx); err != nil {
			return usageError{fmt.Errorf("give --cluster NAME, because Slurm does not tell it: %w", err)}
		}
	}
	m, err := a.sessions()
	if err != nil {
		return err
	}
	state, err := m.State(ctx)
	if err != nil {
		return err
	}
	client, err := m.API(ctx)
	if err != nil {
		return err
	}
	resp, err := client.CreateEnrolmentWithResponse(ctx, api.CreateEnrolmentJSONRequestBody{Cluster: cluster, Kind: "user"})
	if err != nil {
		return outbound.Explain(state.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusCreated); err != nil {
		return err
	}
	if resp.JSON201 == nil {
		return errors.New("the server answered without a token")
	}
	id, err := enrol.Register(ctx, stateDir, enrol.Request{
		Server: state.Server, Token: resp.JSON201.Token, Name: shortHost(), UID: int64(os.Getuid()), User: submit.UserName(),
		Version: buildinfo.String(), Rand: rand.Reader, HTTP: outbound.NewClient(time.Minute),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Your agent is enrolled at %s for cluster %s. Start it with: ergon-agent run\n", id.Server, term.Clean(id.Cluster))
	return nil
}

func shortHost() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how the agent on this node is, and how you stand with it", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAgent(c.Context(), func(ctx context.Context, agent *socket.Client) error {
				status, err := agent.Status(ctx)
				if err != nil {
					return err
				}
				a.printStatus(agent.Path(), status)
				return nil
			})
		},
	}
}

func (a *app) printStatus(path string, s socket.Status) {
	say := func(name, format string, args ...any) {
		fmt.Fprintf(a.Out, "%-9s %s\n", name, term.Clean(fmt.Sprintf(format, args...)))
	}
	say("Agent", "%s, %s mode, at %s", s.Version, s.Mode, path)
	switch {
	case s.Revoked:
		say("Server", "%s refuses this agent's key; it must be enrolled again", s.Server)
	case s.Enrolled:
		say("Server", "%s, cluster %s", s.Server, s.Cluster)
	default:
		say("Server", "not enrolled; run: ergon agent enrol")
	}
	say("You", "%s (uid %d), %s", s.UnixName, s.UID, linkedText(s.Linked))
	if s.SlurmAnsweredAt != nil {
		say("Slurm", "answered %s ago", a.Now().Sub(*s.SlurmAnsweredAt).Round(time.Second))
	} else {
		say("Slurm", "has not answered yet")
	}
	say("Uploads", "%s", map[bool]string{true: "on", false: "off on this node"}[s.Uploads])
	if s.OutboxEvents > 0 && s.OutboxSince != nil {
		say("Outbox", "%d events wait for the server, since %s", s.OutboxEvents, a.Now().Sub(*s.OutboxSince).Round(time.Second))
	}
	if len(s.Jobs) > 0 {
		say("Jobs", "%s", countsText(s.Jobs))
	}
	for _, u := range s.Sending {
		say("Sending", "%s", sendingText(u))
	}
	for _, p := range s.Problems {
		say("Problem", "%s", p)
	}
}

// sendingText tells how far the outputs of one job are.
func sendingText(u socket.Sending) string {
	text := fmt.Sprintf("job %s: %d of %d files, %s of %s", u.SlurmJobID, u.Files, u.FilesTotal, bytesText(u.Bytes), bytesText(u.BytesTotal))
	if u.Current != "" {
		text += ", now " + u.Current
	}
	return text
}

func linkedText(linked *bool) string {
	switch {
	case linked == nil:
		return "the server has not been asked yet whether you are linked"
	case *linked:
		return "linked"
	}
	return "not linked; run: ergon link"
}

func countsText(counts map[string]int) string {
	var parts []string
	for state, n := range counts {
		parts = append(parts, fmt.Sprintf("%s %d", strings.ToLower(state), n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
