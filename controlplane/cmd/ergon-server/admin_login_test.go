package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestUnixLoginIsTurnedOnForAClusterAndOffAgain(t *testing.T) {
	c := newCLI(t)
	c.run("", "admin", "cluster", "create", "lab")
	state := func() string {
		t.Helper()
		var list []map[string]string
		if err := json.Unmarshal([]byte(c.run("", "admin", "cluster", "list", "-o", "json")), &list); err != nil || len(list) != 1 {
			t.Fatalf("%v %v", list, err)
		}
		for name, value := range list[0] {
			if strings.HasPrefix(name, "unix") {
				return value
			}
		}
		t.Fatalf("%v does not say it", list)
		return ""
	}
	if got := state(); got != "off" {
		t.Errorf("a new cluster has it %s", got)
	}
	c.run("", "admin", "cluster", "unix-login", "lab", "on")
	if got := state(); got != "on" {
		t.Error(got)
	}
	c.run("", "admin", "cluster", "unix-login", "lab", "off")
	if got := state(); got != "off" {
		t.Error(got)
	}
	if _, err := c.try("", "admin", "cluster", "unix-login", "lab", "maybe"); err == nil {
		t.Error("maybe was taken")
	}
	if _, err := c.try("", "admin", "cluster", "unix-login", "none", "on"); err == nil {
		t.Error("a cluster that is not there was taken")
	}
}

func TestTokensOfAnAccountAreEndedFromTheCommandLine(t *testing.T) {
	c := newCLI(t)
	c.run("a long enough password\n", "admin", "user", "create", "alice")
	c.run("", "admin", "user", "revoke-tokens", "alice")
	if _, err := c.try("", "admin", "user", "revoke-tokens", "bob"); err == nil {
		t.Error("an account that is not there was taken")
	}
}
