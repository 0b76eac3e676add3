package storetest

import (
	"net/http"
	"net/url"
	"testing"
)

// Unsigned are headers that a client may add to a presigned PUT, as nothing in the signature forbids them: who may read the
// object, what is stored with it, how it is kept.
var Unsigned = map[string]string{
	"X-Amz-Acl":                                       "public-read-write",
	"X-Amz-Grant-Read":                                `uri="http://acs.amazonaws.com/groups/global/AllUsers"`,
	"X-Amz-Grant-Full-Control":                        `uri="http://acs.amazonaws.com/groups/global/AllUsers"`,
	"X-Amz-Tagging":                                   "a=b",
	"X-Amz-Meta-Ergon":                                "x",
	"X-Amz-Storage-Class":                             "REDUCED_REDUNDANCY",
	"X-Amz-Object-Lock-Mode":                          "GOVERNANCE",
	"X-Amz-Object-Lock-Retain-Until-Date":             "2099-01-01T00:00:00Z",
	"X-Amz-Website-Redirect-Location":                 "https://elsewhere.example/",
	"X-Amz-Server-Side-Encryption":                    "AES256",
	"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "true",
	"X-Amz-Copy-Source-Range":                         "bytes=0-1",
}

// RefusesUnsigned checks that the store takes no PUT with such a header.
func RefusesUnsigned(t *testing.T, store Store) {
	s := Suite{Store: store, prefix: "unsigned/"}
	for name, value := range Unsigned {
		t.Run(name, func(t *testing.T) {
			key := s.key(t)
			if status := s.putWith(t, key, name, value); status != 0 && status < 400 {
				t.Errorf("the store answers %d", status)
			}
			s.absent(t, key)
		})
	}
}

// UnsignedChangesNothing checks that such a header, where the store takes it, changes neither the content nor who may read it.
func UnsignedChangesNothing(t *testing.T, store Store) {
	s := Suite{Store: store, prefix: "unsigned/"}
	for name, value := range Unsigned {
		t.Run(name, func(t *testing.T) {
			key := s.key(t)
			if status := s.putWith(t, key, name, value); status == 0 || status >= 400 {
				s.absent(t, key)
				return
			}
			if got := s.read(t, key); string(got) != truth {
				t.Errorf("it holds %q", got)
			}
			s.privateStill(t, key)
		})
	}
}

func (s Suite) putWith(t *testing.T, key, name, value string) (status int) {
	t.Helper()
	signed, err := s.Store.SignPut(t.Context(), s.order(key, []byte(truth)))
	if err != nil {
		t.Fatal(err)
	}
	status, _ = Send(t, signed, []byte(truth), header(name, value))
	return status
}

// privateStill: without a signature nobody reads or replaces it; with one it is an attachment and no redirect.
func (s Suite) privateStill(t *testing.T, key string) {
	t.Helper()
	signed := s.signGet(t, key, urlLife)
	bare, err := url.Parse(signed.URL.Reveal())
	if err != nil {
		t.Fatal("the presigned URL cannot be parsed")
	}
	bare.RawQuery = ""
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		req, err := http.NewRequestWithContext(t.Context(), method, bare.String(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("anybody's %s answers %d", method, resp.StatusCode)
		}
	}
	if status, text := Send(t, signed, nil, nil); status != http.StatusOK || text != truth {
		t.Errorf("its owner gets %d %q", status, text)
	}
}
