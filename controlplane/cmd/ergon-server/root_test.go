package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// A command that does not exist fails, in groups too: a script must not take the help for a success.
func TestACommandThatDoesNotExistFailsAndAGroupAloneShowsItsHelp(t *testing.T) {
	for _, group := range [][]string{{}, {"admin"}, {"admin", "store"}, {"admin", "quota"}, {"admin", "prefix"}, {"admin", "user"}, {"config"}} {
		run := func(args ...string) (string, error) {
			var out bytes.Buffer
			root := newRoot(process{args: args, environ: []string{"HOME=/"}, stdin: strings.NewReader(""), stdout: &out, stderr: &out, executable: os.Executable})
			err := root.ExecuteContext(context.Background())
			return out.String(), err
		}
		if _, err := run(append(append([]string{}, group...), "chek")...); err == nil || !strings.Contains(err.Error(), `unknown command "chek"`) {
			t.Errorf("%v chek: %v", group, err)
		}
		if help, err := run(group...); err != nil || !strings.Contains(help, "Available Commands:") {
			t.Errorf("%v alone: %v\n%s", group, err, help)
		}
	}
}
