// Package enrol registers an agent at the control plane and keeps who it is: agent.json, and the key in a file of its own
// that never leaves the node. The CLI uses it as well, so it links neither the journal nor the agent's calls.
package enrol

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/ergon-hpc/ergon/agent/internal/durable"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

// ErrNotEnrolled says that this agent has no identity; its text tells what to do.
var ErrNotEnrolled = errors.New("this agent is not enrolled: run `ergon agent enrol` as yourself (user mode), or `ergon-agent enrol --server https://… --token-file FILE` with a token from an administrator")

// Identity is who the agent is. The key is in a file of its own, 0600.
type Identity struct {
	AgentID uuid.UUID `json:"agent_id"`
	Server  string    `json:"server"`
	Cluster string    `json:"cluster"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`

	key ed25519.PrivateKey
}

// Key signs the agent's assertions.
func (id Identity) Key() ed25519.PrivateKey { return id.key }

const (
	identityFile = "agent.json"
	keyFile      = "agent.key"
)

// Load reads what enrolment stored in dir, or returns ErrNotEnrolled.
func Load(dir string) (Identity, error) {
	var id Identity
	data, err := os.ReadFile(filepath.Join(dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return id, ErrNotEnrolled
	}
	if err == nil {
		err = json.Unmarshal(data, &id)
	}
	if err == nil {
		id.key, err = readKey(filepath.Join(dir, keyFile))
	}
	if err != nil {
		return id, fmt.Errorf("reading the agent's identity: %w", err)
	}
	return id, nil
}

func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others; enrol again, the key must count as known", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s holds no key; enrol again", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no key: %w", path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no Ed25519 key; enrol again", path)
	}
	return key, nil
}

// Request is what Register needs. Token is a secret.
type Request struct {
	Server, Token string
	// Name is the node's host name.
	Name string
	// UID and User are sent by a user's own agent; UID is −1 otherwise.
	UID     int64
	User    string
	Version string
	Rand    io.Reader
	HTTP    *http.Client
}

// Register makes a key that never leaves this node, registers its public half with a one-time token, and stores both in
// dir. An enrolment whose answer is lost is void: ask for another token.
func Register(ctx context.Context, dir string, e Request) (Identity, error) {
	base, err := outbound.ParseServer(e.Server)
	if err != nil {
		return Identity{}, err
	}
	if err := durable.PrivateDir(dir); err != nil {
		return Identity{}, err
	}
	public, private, err := ed25519.GenerateKey(e.Rand)
	if err != nil {
		return Identity{}, fmt.Errorf("making a key: %w", err)
	}
	agent, err := register(ctx, base, e, public)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{AgentID: agent.Id, Server: base, Cluster: agent.Cluster, Kind: string(agent.Kind), Name: agent.Name, key: private}
	return id, id.store(dir)
}

func register(ctx context.Context, base string, e Request, public ed25519.PublicKey) (*api.Agent, error) {
	client, err := api.NewClientWithResponses(base, api.WithHTTPClient(e.HTTP))
	if err != nil {
		return nil, err
	}
	body := api.EnrolRequest{Token: e.Token, Name: e.Name, PublicKey: base64.RawURLEncoding.EncodeToString(public), Version: e.Version}
	if e.UID >= 0 {
		body.Uid, body.UnixName = &e.UID, &e.User
	}
	resp, err := client.EnrolAgentWithResponse(ctx, body)
	if err != nil {
		return nil, outbound.Explain(base, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusCreated); err != nil {
		return nil, fmt.Errorf("enrolling: %w", err)
	}
	if resp.JSON201 == nil {
		return nil, fmt.Errorf("enrolling: %s answered without an agent", base)
	}
	return resp.JSON201, nil
}

func (id Identity) store(dir string) error {
	// What an interrupted rotation left belongs to another enrolment.
	if err := os.Remove(filepath.Join(dir, nextKeyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeKey(filepath.Join(dir, keyFile), id.key); err != nil {
		return err
	}
	data, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the identity: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, identityFile), data, 0o600)
}

func writeKey(path string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the key: %w", err)
	}
	return durable.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
