package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/api"
)

// fake is a control plane and an object store, both at the socket. The store holds a PUT to what was announced, as the
// real ones do by their signatures: length, SHA-256, every signed header, one key once.
type fake struct {
	t       *testing.T
	api     *httptest.Server
	store   *httptest.Server
	partMin int64 // from this size on: multipart

	mu      sync.Mutex
	objects map[string][]byte // by key
	uploads map[uuid.UUID]*fakeUpload
	files   map[uuid.UUID]api.FileObject
	puts    int
	getLog  []string // Range headers
	// hooks
	onPut func(n int, w http.ResponseWriter, r *http.Request) bool // true: it has answered
	onGet func(n int, w http.ResponseWriter, data []byte) bool
	lie   func(*api.FileObject)
	plan  func(*api.UploadTicket)
}

type fakeUpload struct {
	want   api.UploadRequest
	status api.UploadStatusStatus
	parts  map[int32]api.PartDigest
	size   int64
	count  int32
	file   *api.FileObject
}

const secretQuery = "X-Amz-Signature=sekret"

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, partMin: 1 << 20, objects: map[string][]byte{}, uploads: map[uuid.UUID]*fakeUpload{}, files: map[uuid.UUID]api.FileObject{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /files/presign/upload", f.presign)
	mux.HandleFunc("GET /files/uploads/{id}", f.status)
	mux.HandleFunc("POST /files/uploads/{id}/parts", f.parts)
	mux.HandleFunc("POST /files/uploads/{id}/complete", f.complete)
	mux.HandleFunc("GET /files/presign/download", f.download)
	f.api, f.store = httptest.NewServer(mux), httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.api.Close)
	t.Cleanup(f.store.Close)
	return f
}

// mover is a client of the fake; its memory lasts as long as dir.
func (f *fake) mover(dir string) *Mover {
	client, err := api.NewClientWithResponses(f.api.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	return NewMover(Mover{Server: &Remote{Client: client, Address: f.api.URL}, Progress: &tally{}, Memory: NewMemory(filepath.Join(dir, "memory"), f.api.URL), Backoff: time.Millisecond, Attempts: 4})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func problem(w http.ResponseWriter, status int, code api.ErrorCode, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{Code: code, Status: status, Title: string(code), Detail: &detail, Type: "about:blank"})
}

// signed is a presigned PUT that binds length and checksum.
func (f *fake) signed(key string, size int64, sum string) api.PresignedRequest {
	return api.PresignedRequest{
		Method: api.PUT, Url: f.store.URL + "/" + key + "?" + secretQuery, ExpiresAt: time.Now().Add(time.Minute),
		Headers: map[string]string{"Host": strings.TrimPrefix(f.store.URL, "http://"), "Content-Length": strconv.FormatInt(size, 10), "X-Amz-Checksum-Sha256": sum, "If-None-Match": "*"},
	}
}

func (f *fake) presign(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var want api.UploadRequest
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil {
		f.t.Error(err)
	}
	id := uuid.New()
	u := &fakeUpload{want: want, status: api.UploadStatusStatusReserved, parts: map[int32]api.PartDigest{}}
	f.uploads[id] = u
	ticket := api.UploadTicket{Name: want.Name, UploadId: &id}
	if want.Size >= f.partMin {
		u.size = f.partMin / 2
		u.count = int32((want.Size + u.size - 1) / u.size)
		ticket.Status, ticket.PartSize, ticket.PartCount = api.UploadTicketStatusMultipart, &u.size, &u.count
	} else {
		put := f.signed(id.String(), want.Size, want.Sha256)
		ticket.Status, ticket.Put = api.UploadTicketStatusPut, &put
	}
	if f.plan != nil {
		f.plan(&ticket)
	}
	reply(w, http.StatusCreated, ticket)
}

func (f *fake) upload(w http.ResponseWriter, r *http.Request) (uuid.UUID, *fakeUpload) {
	id, err := uuid.Parse(r.PathValue("id"))
	u := f.uploads[id]
	if err != nil || u == nil {
		problem(w, http.StatusNotFound, api.NotFound, "no such upload")
	}
	return id, u
}

func (f *fake) status(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, u := f.upload(w, r)
	if u == nil {
		return
	}
	out := api.UploadStatus{UploadId: id, Name: u.want.Name, Size: u.want.Size, Sha256: &u.want.Sha256, Status: u.status, File: u.file}
	if u.size > 0 {
		out.PartSize, out.PartCount, out.Parts = &u.size, &u.count, new([]api.PartDigest)
		for _, p := range u.parts {
			*out.Parts = append(*out.Parts, p)
		}
	}
	reply(w, http.StatusOK, out)
}

func (f *fake) parts(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, u := f.upload(w, r)
	if u == nil {
		return
	}
	var body api.PresignPartsJSONBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Parts) == 0 || len(body.Parts) > 100 {
		f.t.Errorf("%d parts asked, %v", len(body.Parts), err)
	}
	type one struct {
		Number int32                `json:"number"`
		Put    api.PresignedRequest `json:"put"`
	}
	var out struct {
		Parts []one `json:"parts"`
	}
	for _, p := range body.Parts {
		out.Parts = append(out.Parts, one{p.Number, f.signed(fmt.Sprintf("%s/%d", id, p.Number), p.Size, p.Sha256)})
	}
	reply(w, http.StatusOK, out)
}

func (f *fake) complete(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, u := f.upload(w, r)
	if u == nil {
		return
	}
	data := f.objects[id.String()]
	for n := int32(1); n <= u.count; n++ {
		data = append(data, f.objects[fmt.Sprintf("%s/%d", id, n)]...)
	}
	if int64(len(data)) != u.want.Size || digestOf(data) != u.want.Sha256 {
		problem(w, http.StatusConflict, api.UploadIncomplete, "bytes are missing")
		return
	}
	file := api.FileObject{Id: uuid.New(), Key: "u/" + id.String(), Name: u.want.Name, Size: u.want.Size, Sha256: u.want.Sha256, Class: api.FileClassUpload, CreatedAt: time.Now()}
	f.objects[file.Key] = data
	f.files[file.Id], u.file, u.status = file, &file, api.UploadStatusStatusStored
	shown := file
	if f.lie != nil {
		f.lie(&shown)
	}
	reply(w, http.StatusOK, shown)
}

func (f *fake) download(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := uuid.Parse(r.URL.Query().Get("id"))
	file, known := f.files[id]
	if err != nil || !known {
		problem(w, http.StatusNotFound, api.NotFound, "no such file")
		return
	}
	if f.lie != nil {
		f.lie(&file)
	}
	reply(w, http.StatusOK, map[string]any{"file": file, "get": api.PresignedRequest{Method: api.GET, Url: f.store.URL + "/" + f.files[id].Key + "?" + secretQuery, Headers: map[string]string{}, ExpiresAt: time.Now().Add(time.Minute)}})
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != secretQuery {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPut {
		f.servePut(w, r)
		return
	}
	f.mu.Lock()
	data, known := f.objects[strings.TrimPrefix(r.URL.Path, "/")]
	f.getLog = append(f.getLog, r.Header.Get("Range"))
	n, hook := len(f.getLog), f.onGet
	f.mu.Unlock()
	if !known {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if hook != nil && hook(n, w, data) {
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (f *fake) servePut(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.puts++
	n, hook := f.puts, f.onPut
	f.mu.Unlock()
	if hook != nil && hook(n, w, r) {
		return
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, "/")
	if _, there := f.objects[key]; there && !strings.Contains(key, "/") {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	if r.Header.Get("If-None-Match") != "*" || r.Header.Get("Content-Type") != "" || r.Header.Get("X-Amz-Checksum-Sha256") != digestOf(data) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<Error><Code>BadDigest</Code><StringToSign>"+secretQuery+"</StringToSign></Error>")
		return
	}
	f.objects[key] = data
	if id, number, isPart := strings.Cut(key, "/"); isPart {
		n, _ := strconv.Atoi(number)
		f.uploads[uuid.MustParse(id)].parts[int32(n)] = api.PartDigest{Number: int32(n), Size: int64(len(data)), Sha256: digestOf(data)}
	}
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// tally sums progress.
type tally struct {
	mu    sync.Mutex
	bytes int64
	ends  []error
}

func (t *tally) Begin(string, int64) Bar { return t }

func (t *tally) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += n
}

func (t *tally) End(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends = append(t.ends, err)
}

// content is bytes that repeat at no part's border.
func content(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i*7 + i>>8*13)
	}
	return data
}

func fileOf(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hold adds a stored file.
func (f *fake) hold(name string, data []byte) api.FileObject {
	file := api.FileObject{Id: uuid.New(), Key: "u/" + uuid.NewString(), Name: name, Size: int64(len(data)), Sha256: digestOf(data), Class: api.FileClassOutput, CreatedAt: time.Now()}
	f.objects[file.Key], f.files[file.Id] = data, file
	return file
}

func withoutSecrets(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "sekret") || strings.Contains(err.Error(), "X-Amz")) {
		t.Errorf("the error holds a signature: %v", err)
	}
}
