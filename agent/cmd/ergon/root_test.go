package main

import "testing"

// docs/cli.md: 2, the arguments are wrong.
func TestWrongArgumentsAreErrorsOfUsage(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for text, args := range map[string][]string{
		`unknown command "file" for "ergon"`:       {"file"},
		`unknown command "lst" for "ergon files"`:  {"files", "lst"},
		`unknown command "more" for "ergon quota"`: {"quota", "more"},
		`accepts at most 1 arg(s), received 2`:     {"files", "ls", "a", "b"},
		`unknown flag: --bogus`:                    {"quota", "--bogus"},
		`[device password] were all set`:           {"login", "--device", "--password"},
	} {
		d.want(exitUsage, args, text)
	}
}
