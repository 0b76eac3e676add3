package socket

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrNoAgent says that no agent answers on this node.
var ErrNoAgent = errors.New("no ergon agent answers on this node; start your own with `ergon-agent run`, or ask your administrators for the service")

// Candidates lists where agents may listen, best one first: $ERGON_AGENT_SOCKET alone when it is set, else the user's own
// agent, then the node's.
func Candidates(getenv func(string) string) []string {
	if path := getenv("ERGON_AGENT_SOCKET"); path != "" {
		return []string{path}
	}
	var out []string
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		out = append(out, filepath.Join(dir, "ergon", "agent.sock"))
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		out = append(out, filepath.Join(dir, "ergon", "agent.sock"))
	} else if home := getenv("HOME"); filepath.IsAbs(home) {
		out = append(out, filepath.Join(home, ".local", "state", "ergon", "agent.sock"))
	}
	return append(out, nodeSocket)
}

// nodeSocket is where the node's agent listens.
const nodeSocket = "/run/ergon/agent.sock"

// Client asks the agent of this node. It is safe for concurrent use.
//
// It speaks HTTP by itself (http.go) on a connection that it keeps between two questions.
type Client struct {
	// Each bounds every question by itself, however long a person thinks in between; 0: only its context does.
	Each time.Duration

	path string

	mu    sync.Mutex
	spare *conn // between two questions; nil when there is none
}

// conn is a connection with what has been read ahead.
type conn struct {
	net.Conn
	in   *bufio.Reader
	left *io.LimitedReader // below in: what the agent may still send
	idle bool              // it has waited for a question, so the agent may have hung up since
}

// Find gives a client for the first candidate on which somebody listens, or ErrNoAgent.
func Find(ctx context.Context, getenv func(string) string) (*Client, error) {
	for _, path := range Candidates(getenv) {
		if c := at(ctx, path); c != nil {
			return c, nil
		}
	}
	return nil, ErrNoAgent
}

// ErrNoNodeAgent says that no agent of the site answers on this node.
var ErrNoNodeAgent = errors.New("no ergon agent of the site answers on this node; try another login node, or ask your administrators")

// FindNode gives a client for the node's agent alone ($ERGON_AGENT_SOCKET when it is set), or ErrNoNodeAgent: a user's own
// agent proves nobody's uid.
func FindNode(ctx context.Context, getenv func(string) string) (*Client, error) {
	path := getenv("ERGON_AGENT_SOCKET")
	if path == "" {
		path = nodeSocket
	}
	if c := at(ctx, path); c != nil {
		return c, nil
	}
	return nil, ErrNoNodeAgent
}

// at gives a client where somebody listens, else nil.
func at(ctx context.Context, path string) *Client {
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil
	}
	return newClient(path, c)
}

// newClient takes a first connection, so that finding an agent and asking it is one connect.
func newClient(path string, first net.Conn) *Client {
	c := &Client{path: path, spare: newConn(first)}
	c.spare.idle = true // a person may think for a while before the first question
	return c
}

func newConn(c net.Conn) *conn {
	left := &io.LimitedReader{R: c}
	return &conn{Conn: c, in: bufio.NewReaderSize(left, maxHeader), left: left}
}

// Path is where the agent listens.
func (c *Client) Path() string { return c.path }

// Close drops an idle connection.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spare != nil {
		_ = c.spare.Close()
		c.spare = nil
	}
}

// connect takes the spare connection, or makes one.
func (c *Client) connect(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	spare := c.spare
	c.spare = nil
	c.mu.Unlock()
	if spare != nil {
		return spare, nil
	}
	var d net.Dialer
	made, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, err
	}
	return newConn(made), nil
}

// giveBack keeps a connection for the next question.
func (c *Client) giveBack(used *conn) {
	used.idle = true
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spare != nil {
		_ = used.Close()
		return
	}
	c.spare = used
}

// errHungUp says that a connection that has waited was closed by the agent before it took the question.
var errHungUp = errors.New("the agent has closed the connection")

func (c *Client) do(ctx context.Context, method, route string, in, out any) error {
	if c.Each > 0 {
		bounded, cancel := context.WithTimeout(ctx, c.Each)
		defer cancel()
		ctx = bounded
	}
	question, err := encode(method, route, in)
	if err != nil {
		return err
	}
	status, answer, err := c.ask(ctx, question)
	if errors.Is(err, errHungUp) {
		status, answer, err = c.ask(ctx, question) // on a new connection
	}
	if err != nil {
		return fmt.Errorf("asking the agent at %s: %w", c.path, err)
	}
	if status != statusOK {
		failed := &Error{Status: status, Message: fmt.Sprintf("the agent answered with status %d", status)}
		_ = json.Unmarshal(answer, failed) // the status alone is enough to go on
		return failed
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("reading the agent's answer: %w", err)
	}
	return nil
}

func encode(method, route string, in any) (question []byte, err error) {
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("encoding a request: %w", err)
		}
	}
	return request(method, route, body), nil
}

// ask sends one request and reads its whole answer.
func (c *Client) ask(ctx context.Context, question []byte) (status int, answer []byte, err error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return 0, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	status, answer, again, err := conn.exchange(ctx, question)
	switch {
	case stop() && err == nil && again:
		c.giveBack(conn)
	default:
		_ = conn.Close()
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return status, answer, err
}

const statusOK = 200

// exchange is one request and its answer; again says that the connection can take another.
func (c *conn) exchange(ctx context.Context, question []byte) (status int, answer []byte, again bool, err error) {
	c.left.N = maxHeader
	if _, err = c.Write(question); err == nil {
		_, err = c.in.Peek(1)
	}
	if err != nil {
		if c.idle && ctx.Err() == nil {
			err = errHungUp
		}
		return 0, nil, false, err
	}
	h, err := readHeader(c.in)
	if err != nil {
		return 0, nil, false, err
	}
	c.left.N = maxAnswer
	answer, err = h.readBody(c.in)
	return h.status, answer, err == nil && h.again, err
}

// Intent tells the agent that sbatch is about to run.
func (c *Client) Intent(ctx context.Context, in Intent) error {
	return c.do(ctx, "POST", "/v1/intents", in, nil)
}

// Report hands the agent what sbatch answered and does not wait until it is written down. The agent writes it though we
// have gone; should it die just then, the tag finds the job. An error says that it was not handed over.
func (c *Client) Report(ctx context.Context, in Result) error {
	question, err := encode("POST", resultsRoute, in)
	if err != nil {
		return err
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_, err = conn.Write(question)
	return err
}

const resultsRoute = "/v1/results"

// Result tells the agent what sbatch answered, and returns when that is written down; safe to repeat.
func (c *Client) Result(ctx context.Context, in Result) error {
	return c.do(ctx, "POST", resultsRoute, in, nil)
}

// Link answers a challenge of the control plane with this process's unix identity.
func (c *Client) Link(ctx context.Context, challenge string) (out Linked, err error) {
	err = c.do(ctx, "POST", "/v1/link", map[string]string{"challenge": challenge}, &out)
	return out, err
}

// Token asks for a login by this process's unix identity; fresh says that the server has refused the last one.
func (c *Client) Token(ctx context.Context, fresh bool) (out Token, err error) {
	err = c.do(ctx, "POST", "/v1/token", map[string]bool{"fresh": fresh}, &out)
	return out, err
}

// Unlink removes the link of this process's unix identity.
func (c *Client) Unlink(ctx context.Context) error {
	return c.do(ctx, "POST", "/v1/unlink", nil, nil)
}

const objectionRoute = "/v1/objection"

// Objection asks whether this process's unix identity objects to being named at the server.
func (c *Client) Objection(ctx context.Context) (out Objection, err error) {
	err = c.do(ctx, "GET", objectionRoute, nil, &out)
	return out, err
}

// Object records that it does; safe to repeat.
func (c *Client) Object(ctx context.Context) (out Objection, err error) {
	err = c.do(ctx, "PUT", objectionRoute, nil, &out)
	return out, err
}

// TakeBackObjection ends its objection; one that does not stand is no error.
func (c *Client) TakeBackObjection(ctx context.Context) (out Objection, err error) {
	err = c.do(ctx, "DELETE", objectionRoute, nil, &out)
	return out, err
}

// Status asks how the agent is.
func (c *Client) Status(ctx context.Context) (out Status, err error) {
	err = c.do(ctx, "GET", "/v1/status", nil, &out)
	return out, err
}

// Jobs lists this user's newest jobs as the agent sees them.
func (c *Client) Jobs(ctx context.Context) ([]Job, error) {
	var out struct {
		Jobs []Job `json:"jobs"`
	}
	err := c.do(ctx, "GET", "/v1/jobs", nil, &out)
	return out.Jobs, err
}
