package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/durable"
)

// Memory remembers, in a directory of the user's own, multipart uploads that have not ended, so that putting the same
// file again goes on where the last one was cut off. It holds no secrets.
type Memory struct {
	dir    string
	server string
}

// NewMemory keeps its files in dir, mode 0700. server is the address that the uploads belong to.
func NewMemory(dir, server string) *Memory { return &Memory{dir: dir, server: server} }

// cut is an upload that was cut off.
type cut struct {
	Path     string    `json:"path"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	ModNano  int64     `json:"mtime_ns"`
	SHA256   string    `json:"sha256"`
	UploadID uuid.UUID `json:"upload_id"`
}

func (m *Memory) file(path, name string) string {
	sum := sha256.Sum256([]byte(m.server + "\x00" + path + "\x00" + name))
	return filepath.Join(m.dir, hex.EncodeToString(sum[:16])+".json")
}

// recall finds the upload of this very file: same path, size and time of change.
func (m *Memory) recall(want cut) (cut, bool) {
	if m == nil {
		return cut{}, false
	}
	data, err := os.ReadFile(m.file(want.Path, want.Name))
	var have cut
	if err != nil || json.Unmarshal(data, &have) != nil {
		return cut{}, false // nothing is lost without it
	}
	same := have.Path == want.Path && have.Name == want.Name && have.Size == want.Size && have.ModNano == want.ModNano
	return have, same && have.UploadID != uuid.Nil
}

func (m *Memory) keep(c cut) error {
	if m == nil {
		return nil
	}
	if err := durable.PrivateDir(m.dir); err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encoding the state of an upload: %w", err)
	}
	return durable.WriteFile(m.file(c.Path, c.Name), data, 0o600)
}

func (m *Memory) forget(path, name string) error {
	if m == nil {
		return nil
	}
	if err := os.Remove(m.file(path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting an upload: %w", err)
	}
	return nil
}
