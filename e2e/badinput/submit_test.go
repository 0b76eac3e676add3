package badinput

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// digits and node names differ between two submissions of the same thing; nothing else may.
var digits = regexp.MustCompile(`[0-9]+`)

func TestTheWrapperSaysWhatSbatchSays(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	good := alice.Write(t, "good.sh", "#!/bin/bash\n#SBATCH --output=/dev/null --mem=20M\ntrue\n", 0o755)
	tagged := alice.Write(t, "tagged.sh", "#!/bin/bash\n#SBATCH --output=/dev/null --mem=20M\n#ERGON outputs=*.none\ntrue\n", 0o755)
	tests := map[string]struct {
		args  []string
		stdin string
		code  int
	}{
		"a script":                         {[]string{good}, "", 0},
		"a script with directives":         {[]string{tagged}, "", 0},
		"parsable":                         {[]string{"--parsable", good}, "", 0},
		"quiet":                            {[]string{"--quiet", good}, "", 0},
		"test-only":                        {[]string{"--test-only", good}, "", 0},
		"wrap":                             {[]string{"--output=/dev/null", "--mem=20M", "--wrap", "true"}, "", 0},
		"a script on stdin":                {nil, "#!/bin/bash\n#SBATCH --output=/dev/null --mem=20M\ntrue\n", 0},
		"an array":                         {[]string{"--array=1-2", good}, "", 0},
		"nothing exported":                 {[]string{"--export=NONE", tagged}, "", 0},
		"a comment of one's own":           {[]string{"--comment=mine|and more", good}, "", 0},
		"a comment in two words":           {[]string{"--comment", "mine", good}, "", 0},
		"waiting for the end":              {[]string{"--wait", good}, "", 0},
		"arguments of the script":          {[]string{good, "--parsable", "-x"}, "", 0},
		"version":                          {[]string{"--version"}, "", 0},
		"help":                             {[]string{"--help"}, "", 0},
		"usage":                            {[]string{"--usage"}, "", 0},
		"no interpreter":                   {[]string{alice.Write(t, "bare.sh", "true\n", 0o755)}, "", 1},
		"an empty script":                  {[]string{alice.Write(t, "empty.sh", "", 0o755)}, "", 1},
		"an invalid directive":             {[]string{alice.Write(t, "invalid.sh", "#!/bin/bash\n#SBATCH --mem 1 G\ntrue\n", 0o755)}, "", 255},
		"a script of DOS":                  {[]string{alice.Write(t, "dos.sh", "#!/bin/bash\r\n#SBATCH --mem=20M\r\ntrue\r\n", 0o755)}, "", 1},
		"a binary":                         {[]string{"/bin/true"}, "", 1},
		"no such script":                   {[]string{"nowhere.sh"}, "", 1},
		"a directory":                      {[]string{"/"}, "", 1},
		"an unknown option":                {[]string{"--nonsense", good}, "", 255},
		"an option without its value":      {[]string{"--partition"}, "", 255},
		"an unknown partition":             {[]string{"--partition=nowhere", good}, "", 1},
		"more memory than any node has":    {[]string{"--mem=999G", good}, "", 1},
		"an array beyond the limit":        {[]string{"--array=1-99999999", good}, "", 1},
		"an account that one does not own": {[]string{"--account=nobody", good}, "", 1},
		"an empty script on stdin":         {nil, "", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := alice.RunInput(t, test.stdin, append([]string{"sbatch"}, test.args...)...)
			if want.Code != test.code {
				t.Fatalf("sbatch itself ended with %d, want %d: %s%s", want.Code, test.code, want.Stdout, want.Stderr)
			}
			for _, wrapper := range []string{"ergon sbatch", "ergon-sbatch"} {
				got := alice.RunInput(t, test.stdin, append(strings.Fields(wrapper), test.args...)...)
				if got.Code != want.Code || digits.ReplaceAllString(got.Stdout, "N") != digits.ReplaceAllString(want.Stdout, "N") ||
					digits.ReplaceAllString(got.Stderr, "N") != digits.ReplaceAllString(want.Stderr, "N") {
					t.Errorf("%s: %d\n%q\n%q\nsbatch: %d\n%q\n%q", wrapper, got.Code, got.Stdout, got.Stderr, want.Code, want.Stdout, want.Stderr)
				}
			}
		})
	}
}

func TestNothingOfOursReachesAJobThatExportsNothing(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	dir := alice.Mkdir(t)
	id := alice.Sbatch(t, "#!/bin/bash\n#SBATCH --mem=20M --output=env.txt\n#ERGON scratch\nenv\n", "--chdir="+dir, "--export=NONE")
	job := alice.WaitJob(t, id, "settled", site.Settled)
	text, err := os.ReadFile(filepath.Join(dir, "env.txt"))
	if err != nil || strings.Contains(string(text), "ERGON_") {
		t.Errorf("%v: the job's environment:\n%s", err, text)
	}
	if job.SubmissionID == "" {
		t.Errorf("job %+v lost its submission", job)
	}
}

func TestABadTokenSaysWhatToDo(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	path := filepath.Join(bob.Home, ".config", "ergon", "session.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bob.WriteIn(t, filepath.Dir(path), filepath.Base(path), string(good), 0o600) })
	for name, change := range map[string]map[string]any{
		"both tokens are garbage":           {"access_token": "garbage", "refresh_token": "garbage"},
		"the access token is expired":       {"access_token": "garbage", "refresh_token": "garbage", "expires_at": "2020-01-01T00:00:00Z"},
		"the tokens are of another session": {"access_token": "eyJhbGciOiJub25lIn0.e30.", "refresh_token": strings.Repeat("A", 43), "expires_at": "2020-01-01T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			var session map[string]any
			if err := json.Unmarshal(good, &session); err != nil {
				t.Fatal(err)
			}
			for key, value := range change {
				session[key] = value
			}
			bad, err := json.Marshal(session)
			if err != nil {
				t.Fatal(err)
			}
			bob.WriteIn(t, filepath.Dir(path), filepath.Base(path), string(bad), 0o600)
			result := bob.Run(t, "ergon", "files", "ls")
			if result.Code != 3 || !strings.Contains(result.Stderr, "ergon login") {
				t.Errorf("code %d, %q; want 3 and what to run", result.Code, result.Stderr)
			}
			if again := bob.Run(t, "ergon", "files", "ls"); again.Code != 3 || !strings.Contains(again.Stderr, "ergon login") {
				t.Errorf("the second time: code %d, %q", again.Code, again.Stderr)
			}
			if result := bob.Run(t, "ergon", "sbatch", "--parsable", "--mem=20M", "--output=/dev/null", "--wrap", "true"); result.Code != 0 || result.Stderr != "" {
				t.Errorf("a submission needs no token: %d %s", result.Code, result.Stderr)
			}
		})
	}
	bob.WriteIn(t, filepath.Dir(path), filepath.Base(path), "{not json", 0o600)
	if result := bob.Run(t, "ergon", "files", "ls"); result.Code == 0 || !strings.Contains(result.Stderr, "ergon login") {
		t.Errorf("a broken session file: %d %q", result.Code, result.Stderr)
	}
}
