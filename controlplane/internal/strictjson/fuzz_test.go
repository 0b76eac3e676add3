package strictjson

import (
	"encoding/json"
	"testing"
)

// What Check lets pass, the standard decoder takes too, and the other way round only for duplicates, depth and case.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, `{"a":{"b":[1,2,{"c":null}]}}`, `{"a":1,"A":2}`, `{"a":1}x`, `[[[`, `"`, ``, "{\"\\u212a\":1,\"k\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if Check(body) == nil && !json.Valid(body) {
			t.Errorf("%q passed and is not JSON", body)
		}
	})
}
