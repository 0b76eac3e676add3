package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

// accountCommand is what a person may do with what is stored about them.
func (a *app) accountCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Take what is stored about you, or delete your account", Args: cobra.NoArgs}
	cmd.AddCommand(a.exportCommand(), a.deleteCommand(), a.disconnectCommand())
	return cmd
}

func (a *app) disconnectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "disconnect",
		Short: "Disconnect your identity at the OpenID provider; every other session ends",
		Long: "From now on only your password opens the account, so it must have one. You may connect the provider again on the page that\n" +
			"confirms logins. Needs a login of the last five minutes.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.disconnect(c.Context()) },
	}
}

func (a *app) disconnect(ctx context.Context) error {
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	resp, err := r.client.DisconnectOidcWithResponse(ctx)
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, "Your identity at the provider opens this account no more, and every other session has ended.")
	return nil
}

func (a *app) exportCommand() *cobra.Command {
	var out string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Download an archive of everything that the server stores about you",
		Long: "Has an archive made (ZIP, one file of JSON lines for each kind of thing), waits for it and downloads it. Your files themselves are\n" +
			"listed there; `ergon files get` takes them. Needs a login of the last five minutes.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.exportAccount(c.Context(), out, wait) },
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default: ergon-export-ID.zip here)")
	cmd.Flags().DurationVar(&wait, "wait", 15*time.Minute, "how long to wait for it")
	return cmd
}

func (a *app) exportAccount(ctx context.Context, out string, wait time.Duration) error {
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	resp, err := r.client.ExportMeWithResponse(ctx)
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusAccepted); err != nil {
		return err
	}
	if resp.JSON202 == nil {
		return errEmpty
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	e, err := r.awaitExport(ctx, resp.JSON202.ExportId)
	if err != nil {
		return err
	}
	if out == "" {
		out = "ergon-export-" + e.ExportId.String() + ".zip"
	}
	if err := (stager{silence: exportSilence}).fetch(ctx, out, *e.Get, api.FileObject{Size: *e.Size, Sha256: *e.Sha256}); err != nil {
		return fmt.Errorf("downloading the archive: %w", err)
	}
	fmt.Fprintf(a.Out, "Saved as %s (%s).\n", term.Clean(out), bytesText(*e.Size))
	return nil
}

// exportSilence is how long the store may send nothing of an archive; nobody's submission waits for it.
const exportSilence = time.Minute

// exportPoll is between questions whether an archive is there; it takes a second or minutes.
const exportPoll = time.Second

func (r *remote) awaitExport(ctx context.Context, id uuid.UUID) (*api.Export, error) {
	for {
		resp, err := r.client.GetExportWithResponse(ctx, id)
		if err != nil {
			return nil, outbound.Explain(r.server, err)
		}
		e, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
		if err != nil {
			return nil, err
		}
		if e.Status == api.Ready && e.Get != nil && e.Size != nil && e.Sha256 != nil {
			return e, nil
		}
		if !pause(ctx, exportPoll) {
			return nil, fmt.Errorf("the archive is not ready yet: run the command again later, it goes on with the same one: %w", ctx.Err())
		}
	}
}

func (a *app) deleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete",
		Short: "Delete your account with all files; there is no way back",
		Long: "Ends every session and your own agents, removes your files with all their versions and everything on the server that names you.\n" +
			"Jobs stay in the cluster's sums, without you. Slurm's own accounting is your site's and stays. Needs a terminal, and a login of\n" +
			"the last five minutes. `ergon account export` before it takes what is there.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.deleteAccount(c.Context()) },
	}
}

func (a *app) deleteAccount(ctx context.Context) error {
	m, err := a.sessions()
	if err != nil {
		return err
	}
	state, err := m.State(ctx)
	if err != nil {
		return err
	}
	if !isTerminal(a.In) {
		return usageError{errors.New("deleting an account is confirmed at a terminal, and standard input is none")}
	}
	fmt.Fprintf(a.Err, "This deletes the account %s at %s with all its files. There is no way back.\nType the name of the account to go on: ",
		term.Clean(state.Username), state.Server)
	typed, err := readLine(bufio.NewReader(a.In))
	if err != nil {
		return err
	}
	if typed != state.Username {
		return errors.New("that is not its name; nothing was deleted")
	}
	client, err := m.API(ctx)
	if err != nil {
		return err
	}
	resp, err := client.DeleteMeWithResponse(ctx)
	if err != nil {
		return outbound.Explain(state.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusAccepted); err != nil {
		return err
	}
	if resp.JSON202 == nil {
		return errors.New("the server answered without a receipt")
	}
	fmt.Fprintf(a.Out, "The account is frozen and is being deleted. Receipt: %s\nHow far it is: %s/erasures/%s\n",
		resp.JSON202.ReceiptId, state.Server, resp.JSON202.ReceiptId)
	_ = m.Logout(ctx, false) // the server has ended the session already; this forgets it here
	return nil
}
