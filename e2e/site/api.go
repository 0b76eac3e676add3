package site

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Client speaks to the server as one account, with nothing of the product in between.
type Client struct {
	base, user, password, token string
	http                        *http.Client
}

func (s *Site) anonymous() *Client {
	transport := &http.Transport{}
	if s.nets != nil {
		transport.DialContext, transport.TLSClientConfig = s.nets.Agent.DialContext, s.ca.client()
	}
	return &Client{base: s.URL, http: &http.Client{Timeout: 30 * time.Second, Transport: contract{transport}}}
}

// Anonymous is a client without an account.
func (s *Site) Anonymous() *Client { return s.anonymous() }

func (s *Site) login(ctx context.Context, user, password string) (*Client, error) {
	c := s.anonymous()
	c.user, c.password = user, password
	return c, c.renew(ctx)
}

// Login only tries whether an account exists and has this password.
func (s *Site) Login(ctx context.Context, user, password string) error {
	_, err := s.login(ctx, user, password)
	return err
}

func (c *Client) renew(ctx context.Context) error {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	status, err := c.do(ctx, http.MethodPost, "/auth/login", map[string]string{"username": c.user, "password": c.password}, &answer)
	if err == nil && (status != http.StatusOK || answer.AccessToken == "") {
		err = fmt.Errorf("logging in as %s: status %d", c.user, status)
	}
	c.token = answer.AccessToken
	return err
}

// Get asks for a path and decodes a 2xx answer into out, where there is one.
func (c *Client) Get(ctx context.Context, path string, out any) (int, error) {
	status, err := c.do(ctx, http.MethodGet, path, nil, out)
	if status == http.StatusUnauthorized && c.user != "" {
		if err := c.renew(ctx); err != nil {
			return 0, err
		}
		return c.do(ctx, http.MethodGet, path, nil, out)
	}
	return status, err
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

func (c *Client) do(ctx context.Context, method, path string, in, out any) (int, error) {
	a, err := c.Send(ctx, method, path, in)
	if err != nil || out == nil || a.Status >= 300 {
		return a.Status, err
	}
	return a.Status, json.Unmarshal(a.Body, out)
}

// Answer is all that the server said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send makes a call, with in as its JSON body unless it is nil.
func (c *Client) Send(ctx context.Context, method, path string, in any) (Answer, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return Answer{}, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return Answer{}, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return Answer{resp.StatusCode, resp.Header, data}, err
}
