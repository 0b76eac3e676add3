package storage

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

const testUser = "11111111-1111-4111-8111-111111111111"

var (
	testID  = uuid.MustParse("22222222-2222-4222-8222-222222222222")
	testJob = JobRef{ID: uuid.MustParse("33333333-3333-4333-8333-333333333333"), Attempt: 2}
)

func TestKeysAreBuiltFromIDsAndEncodedNames(t *testing.T) {
	if got, want := userKey(testUser, testID, "a b/c"), testUser+"/"+testID.String()+"_a_20b_2Fc"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	path, err := checkPath("out/x.h5")
	if err != nil {
		t.Fatal(err)
	}
	plain, spare := jobKeys(testUser, testJob, ClassProfile, path, testID)
	want := testUser + "/jobs/" + testJob.ID.String() + "/2/profile/out_/x.h5"
	if plain != want || spare != want+"_V222222222222" {
		t.Errorf("got %s and %s", plain, spare)
	}
}

func TestKeysFitS3AndTheFileSystem(t *testing.T) {
	check := func(t *rapid.T, key string) {
		if len(key) > 1024 || !keyAlphabet.MatchString(key) || !strings.HasPrefix(key, testUser+"/") {
			t.Fatalf("key %q of %d bytes", key, len(key))
		}
		for segment := range strings.SplitSeq(key, "/") {
			if segment == "" || segment == "." || strings.Contains(segment, "..") || len(segment) > 255 {
				t.Fatalf("segment %q in %q", segment, key)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`(ü{10,100}/){0,9}[a_./]{1,300}`)).Draw(t, "name")
		check(t, userKey(testUser, testID, name))
		if path, err := checkPath(name); err == nil {
			plain, spare := jobKeys(testUser, JobRef{ID: testJob.ID, Attempt: 1<<31 - 1}, ClassProfile, path, testID)
			check(t, plain)
			check(t, spare)
			if plain == spare {
				t.Fatalf("%q has one key only", name)
			}
		}
	})
}

func TestContentTypesAreMediaTypes(t *testing.T) {
	for in, want := range map[string]string{
		"": "application/octet-stream", "text/plain": "text/plain", "Text/Plain; Charset=UTF-8": "text/plain; charset=UTF-8",
	} {
		if got, err := contentType(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"text", "text/plain\r\nX: y", "/", "a/b; c", "text/plain; a=" + strings.Repeat("x", 200), "ü/ü"} {
		if got, err := contentType(in); err == nil {
			t.Errorf("%q is accepted as %q", in, got)
		}
	}
}

func FuzzContentType(f *testing.F) {
	for _, s := range []string{"", "text/plain", "a/b; c=d", "a/b; c=\"\r\n\"", "multipart/form-data; boundary=\"x y\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := contentType(in)
		if err != nil {
			if !apperr.Is(err, apperr.InvalidRequest) {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		req := http.Header{}
		req.Set("Content-Type", got)
		if len(got) > maxContentType || strings.ContainsAny(got, "\r\n\x00") {
			t.Fatalf("%q becomes the header %q", in, got)
		}
	})
}

func TestDigestsHaveOneForm(t *testing.T) {
	d, err := ParseDigest("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") // of nothing
	if err != nil || d.Checksum() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Errorf("%s, %v", d.Checksum(), err)
	}
	if back, err := ParseChecksum(d.Checksum()); err != nil || back != d {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{"", "e3", strings.ToUpper(d.Hex()), strings.Repeat("g", 64), d.Hex() + "0"} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, bad := range []string{"", "x", d.Checksum() + "-2", d.Hex()} {
		if _, err := ParseChecksum(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	// Python: b64encode(sha256(d + d).digest()) with d = sha256(b"").digest()
	if got, want := Composite([]Part{{SHA256: d}, {SHA256: d}}), "LbpdvDOecxauomg/r4OcG3se4jE9t5IRJYgRjfBmqjU=-2"; got != want {
		t.Errorf("composite %s, want %s", got, want)
	}
}

func TestStoreErrorsKeepTheirCodeOrSayUnavailable(t *testing.T) {
	if err := storeErr(errors.New("dial tcp")); !apperr.Is(err, apperr.StoreUnavailable) {
		t.Error(err)
	}
	if err := storeErr(expired()); !apperr.Is(err, apperr.UploadExpired) {
		t.Error(err)
	}
	full, _ := errors.AsType[*apperr.Error](storeErr(fmt.Errorf("joining the parts: %w", ErrFull)))
	if full == nil || full.Code != apperr.StoreUnavailable || !strings.Contains(full.Message, "full") || full.RetryAfter <= 0 {
		t.Errorf("a full store: %v", full)
	}
	if storeErr(nil) != nil {
		t.Error("nil became an error")
	}
}
