package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/spf13/cobra"
)

const optoutLong = `Object to being named, as a person without an Ergon account; needs no login.

Of your jobs on this cluster the server then stores only what the cluster's sums are made of: resources, times, states and Slurm account,
but no uid, login name, job name, submit line, directory, comment or event. That holds for jobs that are stored already and for those to
come. What was taken out does not come back, not with --undo either. What Slurm's own accounting holds stays as it is.

The node's agent vouches for your uid: it works on login nodes of the site, outside of containers. If your unix account is linked to an
Ergon account, that account decides: ergon account export gives you everything, ergon account delete removes it; ergon unlink ends the link,
and jobs from then on can be objected to.`

func (a *app) optoutCommand() *cobra.Command {
	var yes, status, undo bool
	c := &cobra.Command{
		Use: "optout", Short: "Object to being named in what is stored of your jobs; needs no account", Long: optoutLong, Args: cobra.NoArgs,
		Example: "  ergon optout\n  ergon optout --status\n  ergon optout --undo",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withNodeAgent(c.Context(), func(ctx context.Context, agent *socket.Client) error {
				s, err := agent.Objection(ctx)
				switch {
				case err != nil:
					return err
				case status:
					a.printObjection(s)
					return nil
				case undo:
					return a.optin(ctx, agent, s, yes)
				}
				return a.optout(ctx, agent, s, yes)
			})
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&status, "status", false, "only show whether you object, and how many stored jobs name you")
	c.Flags().BoolVar(&undo, "undo", false, "take your objection back")
	c.MarkFlagsMutuallyExclusive("status", "undo")
	return c
}

// withNodeAgent asks the agent of the site alone, and says so where it is too old to understand.
func (a *app) withNodeAgent(ctx context.Context, f func(context.Context, *socket.Client) error) error {
	c, err := socket.FindNode(ctx, a.Env)
	if err != nil {
		return err
	}
	defer c.Close()
	c.Each = agentTimeout
	err = f(ctx, c)
	var said *socket.Error
	if errors.As(err, &said) && said.Status == http.StatusNotFound {
		return errors.New("the agent on this node is older than this command; ask your administrators")
	}
	return err
}

// person is who is asked about, as the kernel and the server say it.
func person(s socket.Objection) string {
	return term.Clean(fmt.Sprintf("%s (uid %d) on cluster %s", firstOf(s.UnixName, "you"), s.UID, s.Cluster))
}

const linkedDecides = "is linked to an Ergon account, whose owner decides: `ergon account export`, `ergon account delete`, or `ergon unlink` and then `ergon optout`"

func (a *app) optout(ctx context.Context, agent *socket.Client, s socket.Objection, yes bool) error {
	switch {
	case s.Linked:
		return fmt.Errorf("%s %s", person(s), linkedDecides)
	case s.Objected && s.JobsNamed == 0:
		a.printObjection(s)
		return nil
	}
	fmt.Fprintf(a.Err, "The server %s then stores of your jobs, old and new, no uid, login name, job name, submit line, directory, comment or event.\n"+
		"Resources, times, states and Slurm account stay, for the cluster's sums. What is taken out does not come back.\n", term.Clean(s.Server))
	if err := a.confirm("Take "+person(s)+" out of what is stored?", yes); err != nil {
		return err
	}
	s, err := agent.Object(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Done: %s objects. Taken out of %s.\n", person(s), jobsText(s.JobsHidden))
	if s.JobsNamed > 0 {
		fmt.Fprintf(a.Out, "Still to come, within minutes: %s; see: ergon optout --status\n", jobsText(s.JobsNamed))
	}
	return nil
}

func (a *app) optin(ctx context.Context, agent *socket.Client, s socket.Objection, yes bool) error {
	if !s.Objected {
		a.printObjection(s)
		return nil
	}
	if err := a.confirm("Name "+person(s)+" again in jobs that are reported from now on? What was taken out does not come back.", yes); err != nil {
		return err
	}
	s, err := agent.TakeBackObjection(ctx)
	if err != nil {
		return err
	}
	a.printObjection(s)
	return nil
}

// printObjection tells how somebody stands.
func (a *app) printObjection(s socket.Objection) {
	switch {
	case s.Linked:
		fmt.Fprintf(a.Out, "%s %s.\n", person(s), linkedDecides)
		if s.Objected {
			fmt.Fprintln(a.Out, "The objection from before the link counts again when the link is gone.")
		}
	case s.Objected:
		since := ""
		if s.Since != nil {
			since = " since " + s.Since.Format("2006-01-02")
		}
		fmt.Fprintf(a.Out, "%s objects%s.\n", person(s), since)
		if s.JobsNamed > 0 {
			fmt.Fprintf(a.Out, "Still to be taken out, within minutes: %s.\n", jobsText(s.JobsNamed))
		}
	default:
		fmt.Fprintf(a.Out, "%s does not object; the server %s names you in %s.\n", person(s), term.Clean(s.Server), jobsText(s.JobsNamed))
	}
}

func jobsText(n int64) string { return fmt.Sprintf("%d %s", n, plural(int(n), "job")) }
