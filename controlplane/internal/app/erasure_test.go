package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/shared/api"
)

// visitor is somebody with an account at a running server.
type visitor struct {
	t     *testing.T
	url   string
	token string
}

func (v *visitor) call(method, path string, body, into any) int {
	v.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		v.t.Fatal(err)
	}
	if body == nil {
		raw = nil
	}
	req, err := http.NewRequest(method, v.url+path, bytes.NewReader(raw))
	if err != nil {
		v.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if v.token != "" {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	resp, err := caller(v.t).Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			v.t.Fatalf("%s %s: %d %.300s", method, path, resp.StatusCode, answer)
		}
	}
	return resp.StatusCode
}

func (v *visitor) want(status int, method, path string, body, into any) {
	v.t.Helper()
	if got := v.call(method, path, body, into); got != status {
		v.t.Fatalf("%s %s answers %d, want %d: %+v", method, path, got, status, into)
	}
}

const visitorPassword = "a battery, a horse and a staple"

func newVisitor(t *testing.T, url, name string) *visitor {
	t.Helper()
	v := &visitor{t: t, url: url}
	who := api.Credentials{Username: name, Password: visitorPassword}
	v.want(http.StatusCreated, http.MethodPost, "/auth/register", who, nil)
	var pair api.TokenPair
	v.want(http.StatusOK, http.MethodPost, "/auth/login", who, &pair)
	v.token = pair.AccessToken
	return v
}

func (v *visitor) upload(name, content string) {
	v.t.Helper()
	sum := sha256.Sum256([]byte(content))
	var ticket api.UploadTicket
	v.want(http.StatusCreated, http.MethodPost, "/files/presign/upload",
		api.UploadRequest{Name: name, Size: int64(len(content)), Sha256: hex.EncodeToString(sum[:])}, &ticket)
	req, err := http.NewRequest(string(ticket.Put.Method), ticket.Put.Url, strings.NewReader(content))
	if err != nil {
		v.t.Fatal("the URL cannot be parsed")
	}
	for k, h := range ticket.Put.Headers {
		if k != "Content-Length" {
			req.Header.Set(k, h)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal("the PUT broke")
	}
	_ = resp.Body.Close()
	v.want(http.StatusOK, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/complete", nil, nil)
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(200 * time.Millisecond) { // only ends a wait that would be for ever
		if time.Now().After(deadline) {
			t.Fatalf("not within five minutes: %s", what)
		}
	}
}

func TestAPersonTakesWhatIsStoredAndDeletesTheAccount(t *testing.T) {
	a := boot(t, testConfig(t, "ERGON_QUOTA_BYTES=1000"))
	v, other := newVisitor(t, a.URL(), "victor"), newVisitor(t, a.URL(), "oscar")
	v.upload("mine", "some content")
	var q api.QuotaReport
	v.want(http.StatusOK, http.MethodGet, "/quota", nil, &q)
	if q.Quota.UsedBytes != 12 || q.Quota.LimitBytes != 1000 || q.Quota.LimitFrom == nil || *q.Quota.LimitFrom != "default" {
		t.Errorf("quota %+v", q)
	}
	var e api.Export
	v.want(http.StatusAccepted, http.MethodPost, "/me/export", nil, &e)
	other.want(http.StatusNotFound, http.MethodGet, "/me/exports/"+e.ExportId.String(), nil, nil)
	within(t, "the archive", func() bool {
		v.want(http.StatusOK, http.MethodGet, "/me/exports/"+e.ExportId.String(), nil, &e)
		return e.Status == api.Ready && e.Get != nil
	})
	if n := a.count(t, "SELECT COUNT(*) FROM audit WHERE action = 'account.presign_export' AND outcome = 'ok' AND subject = ?", e.ExportId.String()); n != 1 {
		t.Errorf("%d audit rows of one link", n)
	}
	resp, err := http.Get(e.Get.Url)
	if err != nil {
		t.Fatal("the GET broke")
	}
	archive, err := io.ReadAll(resp.Body)
	sum := sha256.Sum256(archive)
	if err != nil || resp.Body.Close() != nil || hex.EncodeToString(sum[:]) != *e.Sha256 || int64(len(archive)) != *e.Size {
		t.Errorf("%d bytes with another checksum, %v", len(archive), err)
	}
	var receipt api.Erasure
	v.want(http.StatusAccepted, http.MethodDelete, "/me", nil, &receipt)
	v.want(http.StatusUnauthorized, http.MethodGet, "/me", nil, nil) // at once
	nobody := &visitor{t: t, url: a.URL()}
	if code := nobody.call(http.MethodPost, "/auth/login", api.Credentials{Username: "victor", Password: visitorPassword}, nil); code != http.StatusUnauthorized {
		t.Errorf("a deleted account logs in: %d", code)
	}
	within(t, "the deletion", func() bool {
		nobody.want(http.StatusOK, http.MethodGet, "/erasures/"+receipt.ReceiptId.String(), nil, &receipt)
		return receipt.Status == api.LastLook || receipt.Status == api.Done
	})
	if receipt.Files != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	newVisitor(t, a.URL(), "victor") // the name is free again, and is somebody else
}

func TestExportAndDeletionNeedAFreshLogin(t *testing.T) {
	a := boot(t, testConfig(t, "ERGON_AUTH_RECENT_LOGIN=1ns"))
	v := newVisitor(t, a.URL(), "victor")
	for path, method := range map[string]string{"/me/export": http.MethodPost, "/me": http.MethodDelete} {
		var p api.Problem
		if code := v.call(method, path, nil, &p); code != http.StatusForbidden || p.Code != "forbidden" {
			t.Errorf("%s %s: %d %+v", method, path, code, p)
		}
	}
	v.want(http.StatusOK, http.MethodGet, "/me", nil, nil)
}
