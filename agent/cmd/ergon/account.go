package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/session"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/spf13/cobra"
	xterm "golang.org/x/term"
)

// accountCommands are those about the account and its logins.
func (a *app) accountCommands() []*cobra.Command {
	return []*cobra.Command{
		a.loginCommand(), a.logoutCommand(), a.whoamiCommand(), a.sessionsCommand(), a.passwordCommand(), a.tokenCommand(),
		a.accountCommand(),
	}
}

type loginFlags struct {
	user          string
	register      bool
	password      bool
	passwordStdin bool
	device        bool
	invitation    string
}

// byPassword: what names a password, or an account, means a login by password.
func (f loginFlags) byPassword() bool {
	return f.password || f.passwordStdin || f.register || f.user != ""
}

func (a *app) loginCommand() *cobra.Command {
	var f loginFlags
	c := &cobra.Command{
		Use:   "login --server URL",
		Short: "Log in at a server: confirm a code in a browser, or type a password",
		Long: "Shows a code and a page of the server; once you have typed the code there, in the browser of any machine, this program is\n" +
			"logged in (RFC 8628). With --password, or without a terminal, name and password are asked here instead.\n" +
			"Programs use a token of their own: see ergon token.",
		Example: "  ergon login --server https://ergon.example.org\n  ergon login --password --user alice",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.login(c.Context(), f) },
	}
	c.Flags().BoolVar(&f.password, "password", false, "type name and password here, without a browser")
	c.Flags().BoolVar(&f.device, "device", false, "show a code to confirm in a browser, also without a terminal")
	c.Flags().StringVar(&f.invitation, "invitation", "", "with --register: the invitation, where the server asks for one; - reads it as the line after the password")
	c.Flags().StringVarP(&f.user, "user", "u", "", "account name (default: asked, $USER proposed)")
	c.Flags().BoolVar(&f.register, "register", false, "make the account first")
	c.Flags().BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from standard input")
	c.MarkFlagsMutuallyExclusive("device", "password")
	c.MarkFlagsMutuallyExclusive("device", "password-stdin")
	c.MarkFlagsMutuallyExclusive("device", "register")
	return c
}

func (a *app) login(ctx context.Context, f loginFlags) error {
	m, err := a.sessions()
	if err != nil {
		return err
	}
	server, err := m.ServerFrom(a.server, a.Env)
	if err != nil {
		return usageError{err}
	}
	if f.device || (!f.byPassword() && isTerminal(a.In)) {
		return a.loginDevice(ctx, m, server)
	}
	in := bufio.NewReader(a.In)
	user, err := a.askUser(in, f)
	if err != nil {
		return err
	}
	password, err := a.askPassword(in, f)
	if err != nil {
		return err
	}
	credentials := session.Credentials{Server: server, Username: user, Password: password}
	if credentials.Invitation, err = a.askInvitation(in, f); err != nil {
		return err
	}
	if f.register {
		if err := m.Register(ctx, credentials); err != nil {
			return fmt.Errorf("making the account: %w", err)
		}
	}
	state, err := m.Login(ctx, credentials)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Logged in at %s as %s.\n", state.Server, term.Clean(state.Username))
	return nil
}

func (a *app) askUser(in *bufio.Reader, f loginFlags) (string, error) {
	if f.user != "" {
		return f.user, nil
	}
	proposed := a.Env("USER")
	if f.passwordStdin || !isTerminal(a.In) {
		if proposed == "" {
			return "", usageError{errors.New("give the account with --user NAME")}
		}
		return proposed, nil
	}
	fmt.Fprintf(a.Err, "Account [%s]: ", term.Clean(proposed))
	line, err := readLine(in)
	if err != nil {
		return "", err
	}
	return firstOf(line, proposed), nil
}

func (a *app) askPassword(in *bufio.Reader, f loginFlags) (string, error) {
	if f.passwordStdin {
		return readLine(in)
	}
	file, err := a.passwordTerminal()
	if err != nil {
		return "", err
	}
	if f.register {
		return a.newPassword(file, "Password: ")
	}
	return a.hidden(file, "Password: ")
}

// passwordTerminal is where a password can be typed.
func (a *app) passwordTerminal() (*os.File, error) {
	file, ok := a.In.(*os.File)
	if !ok || !isTerminal(a.In) {
		return nil, usageError{errors.New("standard input is no terminal; use --password-stdin")}
	}
	return file, nil
}

// newPassword has a password typed twice.
func (a *app) newPassword(file *os.File, prompt string) (string, error) {
	first, err := a.hidden(file, prompt)
	if err != nil {
		return "", err
	}
	second, err := a.hidden(file, "Again: ")
	if err == nil && first != second {
		err = errors.New("the two passwords differ; try again")
	}
	return first, err
}

// askInvitation: an invitation works once and for a week, and may be typed; as "-" it stays out of the argument list.
func (a *app) askInvitation(in *bufio.Reader, f loginFlags) (string, error) {
	if f.invitation != "-" {
		return f.invitation, nil
	}
	if file, ok := a.In.(*os.File); ok && isTerminal(a.In) {
		return a.hidden(file, "Invitation: ")
	}
	return readLine(in)
}

func (a *app) hidden(file *os.File, prompt string) (string, error) {
	fmt.Fprint(a.Err, prompt)
	text, err := xterm.ReadPassword(int(file.Fd()))
	fmt.Fprintln(a.Err)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(text), nil
}

// maxLine bounds what is read from the terminal or a pipe as one answer, in bytes.
const maxLine = 1024

func readLine(in *bufio.Reader) (string, error) {
	line, err := boundedLine(in)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading standard input: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" && errors.Is(err, io.EOF) {
		return "", errors.New("standard input ended before an answer came")
	}
	return line, nil
}

// boundedLine reads to the end of a line, and not one byte further.
func boundedLine(in *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < maxLine {
		b, err := in.ReadByte()
		if err != nil {
			return string(line), err
		}
		line = append(line, b)
		if b == '\n' {
			break
		}
	}
	return string(line), nil
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show the account, its links and its quota",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return a.whoami(c.Context()) },
	}
}

func (a *app) whoami(ctx context.Context) error {
	m, err := a.sessions()
	if err != nil {
		return err
	}
	client, err := m.API(ctx)
	if err != nil {
		return err
	}
	resp, err := client.GetMeWithResponse(ctx)
	if err != nil {
		return outbound.Explain("the server", err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, 200); err != nil {
		return err
	}
	if resp.JSON200 == nil {
		return errors.New("the server answered without an account")
	}
	state, err := m.State(ctx)
	if err != nil {
		return err
	}
	printMe(a.Out, state.Server, resp.JSON200)
	return nil
}
