package objectstore

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ergon-hpc/ergon/shared/secret"
)

// Identity is one pair of S3 credentials.
type Identity struct {
	AccessKey string
	SecretKey secret.Secret
}

// Keys are the three identities of the store.
type Keys struct {
	Maintenance Identity // lists, heads, deletes, creates and completes multiparts; signs nothing for clients
	PutSigner   Identity // may only put objects and parts
	GetSigner   Identity // may only get objects
}

// pair is an Identity in the file and on the pipe, where it must be readable.
type pair struct {
	Access string `json:"access_key"`
	Secret string `json:"secret_key"`
}

type keyFile struct {
	Maintenance pair `json:"maintenance"`
	PutSigner   pair `json:"put_signer"`
	GetSigner   pair `json:"get_signer"`
}

func (p pair) identity() Identity {
	return Identity{AccessKey: p.Access, SecretKey: secret.New(p.Secret)}
}

func (k keyFile) keys() Keys {
	return Keys{Maintenance: k.Maintenance.identity(), PutSigner: k.PutSigner.identity(), GetSigner: k.GetSigner.identity()}
}

func (k keyFile) complete() bool {
	for _, p := range []pair{k.Maintenance, k.PutSigner, k.GetSigner} {
		if p.Access == "" || p.Secret == "" {
			return false
		}
	}
	return true
}

// loadKeys reads the keys, or makes them at the first start.
func loadKeys(dir string) (keyFile, error) {
	path := filepath.Join(dir, "keys.json")
	var k keyFile
	err := readJSON(path, &k)
	if errors.Is(err, os.ErrNotExist) {
		k = keyFile{Maintenance: newPair("maintenance"), PutSigner: newPair("put"), GetSigner: newPair("get")}
		return k, writeJSON(path, k)
	}
	if err != nil {
		return keyFile{}, fmt.Errorf("reading the store's keys: %w", err)
	}
	if !k.complete() {
		return keyFile{}, fmt.Errorf("reading the store's keys: %s is incomplete; restore it from a backup, or remove it to have new keys made", path)
	}
	return k, nil
}

func newPair(role string) pair {
	return pair{Access: "ergon-" + role + "-" + rand.Text()[:8], Secret: rand.Text() + rand.Text()}
}

// readJSON reads a file that must not be readable by others: it may hold keys.
func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s is damaged: %w", filepath.Base(path), err)
	}
	return nil
}

// writeJSON writes beside, syncs, renames and syncs the directory, so that a crash leaves the old or the new file.
func writeJSON(path string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(path), err)
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing the directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
