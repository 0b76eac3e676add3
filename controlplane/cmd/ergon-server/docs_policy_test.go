package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type policy struct {
	Statement []struct {
		Effect           string
		Action, Resource []string
	}
}

// policies are those that docs/install.md gives: of put signer, get signer and maintenance.
func policies(t *testing.T) (list []policy) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1) {
		var p policy
		if err := json.Unmarshal(m[1], &p); err != nil {
			t.Fatalf("%v in %s", err, m[1])
		}
		list = append(list, p)
	}
	if len(list) != 3 {
		t.Fatalf("docs/install.md has %d policies, want 3", len(list))
	}
	return list
}

// The tests' MinIO has the same identities (dev/minio/identities), with which the server is shown to start and to work.
func TestThePoliciesOfTheDocumentAreThoseThatWereTried(t *testing.T) {
	list := policies(t)
	for i, action := range []string{"s3:PutObject", "s3:GetObject"} {
		s := list[i].Statement
		if len(s) != 1 || s[0].Effect != "Allow" || !slices.Equal(s[0].Action, []string{action}) || !slices.Equal(s[0].Resource, []string{"arn:aws:s3:::ergon/*"}) {
			t.Errorf("the policy of a signer allows %+v, want %s alone", s, action)
		}
	}
	tried, err := os.ReadFile("../../../dev/minio/identities/main.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`"(s3:[A-Za-z]+)"`).FindAllSubmatch(tried, -1)
	actions := map[string]bool{}
	for _, s := range list[2].Statement {
		for _, a := range s.Action {
			actions[a] = true
			if !strings.Contains(string(tried), `"`+a+`"`) {
				t.Errorf("%s was tried out by nobody", a)
			}
		}
	}
	for _, m := range named {
		if !actions[string(m[1])] {
			t.Errorf("the tests' maintenance needs %s, and the document does not give it", m[1])
		}
	}
}
