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

// stageSilence is how long the server may say nothing while sbatch waits for an input, and in what time the store has to send
// stageLeast bytes, or the rest: a store that trickles would hold the submission as long as one that hangs.
const (
	stageSilence = 10 * time.Second
	stageLeast   = 64 << 10
)

// fetchTimeout bounds one input's download.
const fetchTimeout = time.Hour

// stager brings inputs into a directory. Each call of the server, and each stageLeast bytes of the store, may last silence.
type stager struct {
	client  *api.ClientWithResponses
	dir     string
	silence time.Duration
}

// stage brings the inputs of a script (ids or names of stored files) into dir and verifies each against its checksum. It
// ends with ctx, and leaves nothing of an input that did not come whole.
func (a *app) stage(ctx context.Context, dir string, inputs []string) error {
	m, err := a.sessions()
	if err != nil {
		return err
	}
	s := stager{dir: dir, silence: a.silence}
	if s.silence == 0 {
		s.silence = stageSilence
	}
	asked, cancel := context.WithTimeout(ctx, s.silence)
	s.client, err = m.API(asked)
	cancel()
	if err != nil {
		return err
	}
	for _, name := range inputs {
		if err := s.one(ctx, name); err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
	}
	return nil
}

func (s stager) one(ctx context.Context, name string) error {
	file, get, err := s.link(ctx, name)
	if err != nil {
		return err
	}
	return s.fetch(ctx, filepath.Join(s.dir, path.Base(file.Name)), get, file)
}

// link asks the server where the input is.
func (s stager) link(ctx context.Context, name string) (file api.FileObject, get api.PresignedRequest, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.silence)
	defer cancel()
	id, err := inputID(ctx, s.client, name)
	if err != nil {
		return file, get, err
	}
	resp, err := s.client.PresignDownloadWithResponse(ctx, &api.PresignDownloadParams{Id: id})
	if err != nil {
		return file, get, outbound.Explain("the server", err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return file, get, err
	}
	if resp.JSON200 == nil {
		return file, get, errors.New("the server answered without a link")
	}
	return resp.JSON200.File, resp.JSON200.Get, nil
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

// fetch writes beside the target and renames only what has the right length and checksum.
func (s stager) fetch(ctx context.Context, target string, get api.PresignedRequest, file api.FileObject) (err error) {
	if err := outbound.CheckStoreURL(get.Url); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	body, err := s.open(ctx, get)
	if err != nil {
		return err
	}
	defer body.Close()
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
	n, err := io.Copy(io.MultiWriter(temp, sum), io.LimitReader(body, file.Size+1))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if n != file.Size || hex.EncodeToString(sum.Sum(nil)) != file.Sha256 {
		return errors.New("what the store sent is not what was stored (length or checksum differs)")
	}
	return os.Rename(temp.Name(), target)
}

// open gives the body of the store's answer. The request ends when the next stageLeast bytes of the body take longer
// than silence.
func (s stager) open(ctx context.Context, get api.PresignedRequest) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, get.Url, nil)
	if err != nil {
		cancel(nil)
		return nil, errors.New("the server gave an unusable link")
	}
	for k, v := range get.Headers {
		req.Header.Set(k, v)
	}
	w := &watched{ctx: ctx, end: cancel, silence: s.silence}
	w.timer = time.AfterFunc(s.silence, func() { cancel(fmt.Errorf("the store has sent less than %d KiB in %s", stageLeast>>10, s.silence)) })
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req) //nolint:bodyclose // watched.Close does
	if err != nil {
		return nil, errors.Join(w.why(outbound.Explain("the store", err)), w.Close())
	}
	w.body = resp.Body
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("the store answered %d", resp.StatusCode), w.Close())
	}
	return w, nil
}

// watched is a body whose every stageLeast bytes put the end of the request off.
type watched struct {
	ctx     context.Context //nolint:containedctx // the one of the request that the body belongs to
	end     context.CancelCauseFunc
	body    io.ReadCloser
	timer   *time.Timer
	silence time.Duration
	came    int // since the end was put off
}

// Read says of a stall that it was one.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	if w.came += n; w.came >= stageLeast {
		w.came = 0
		w.timer.Reset(w.silence)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = w.why(err)
	}
	return n, err //nolint:wrapcheck // io.Reader's contract: io.EOF as it is
}

// why gives the cause where the request was ended from here.
func (w *watched) why(err error) error {
	if cause := context.Cause(w.ctx); cause != nil {
		return cause
	}
	return err
}

// Close ends the request.
func (w *watched) Close() error {
	w.timer.Stop()
	w.end(nil)
	if w.body == nil {
		return nil
	}
	return w.body.Close()
}
