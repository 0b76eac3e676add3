package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

// stage brings the inputs of a script (ids or names of stored files) into dir and verifies each against its checksum.
func (a *app) stage(ctx context.Context, dir string, inputs []string) error {
	m, err := a.sessions()
	if err != nil {
		return err
	}
	client, err := m.API(ctx)
	if err != nil {
		return err
	}
	for _, name := range inputs {
		if err := stageOne(ctx, client, dir, name); err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
	}
	return nil
}

func stageOne(ctx context.Context, client *api.ClientWithResponses, dir, name string) error {
	id, err := inputID(ctx, client, name)
	if err != nil {
		return err
	}
	resp, err := client.PresignDownloadWithResponse(ctx, &api.PresignDownloadParams{Id: id})
	if err != nil {
		return outbound.Explain("the server", err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return err
	}
	if resp.JSON200 == nil {
		return errors.New("the server answered without a link")
	}
	return fetch(ctx, filepath.Join(dir, path.Base(resp.JSON200.File.Name)), resp.JSON200.Get, resp.JSON200.File)
}

// inputID takes an id as it is and looks a name up; a name that stands for several files gives the newest.
func inputID(ctx context.Context, client *api.ClientWithResponses, name string) (uuid.UUID, error) {
	if id, err := uuid.Parse(name); err == nil {
		return id, nil
	}
	resp, err := client.ListFilesWithResponse(ctx, &api.ListFilesParams{Name: &name})
	if err != nil {
		return uuid.Nil, outbound.Explain("the server", err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return uuid.Nil, err
	}
	if resp.JSON200 == nil || len(resp.JSON200.Files) == 0 {
		return uuid.Nil, errors.New("you have no stored file of this name; see: ergon files ls")
	}
	newest := resp.JSON200.Files[0]
	for _, f := range resp.JSON200.Files {
		if f.CreatedAt.After(newest.CreatedAt) {
			newest = f
		}
	}
	return newest.Id, nil
}

// fetchTimeout bounds one input's download.
const fetchTimeout = time.Hour

// fetch writes beside the target and renames only what has the right length and checksum.
func fetch(ctx context.Context, target string, get api.PresignedRequest, file api.FileObject) (err error) {
	if err := outbound.CheckStoreURL(get.Url); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, get.Url, nil)
	if err != nil {
		return errors.New("the server gave an unusable link")
	}
	for k, v := range get.Headers {
		req.Header.Set(k, v)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return outbound.Explain("the store", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the store answered %d", resp.StatusCode)
	}
	temp, err := os.CreateTemp(filepath.Dir(target), ".ergon-input.*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(temp, sum), io.LimitReader(resp.Body, file.Size+1))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if n != file.Size || hex.EncodeToString(sum.Sum(nil)) != file.Sha256 {
		return errors.New("what the store sent is not what was stored (length or checksum differs)")
	}
	return os.Rename(temp.Name(), target)
}
