package packaging

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testNames collects every test function of the tree.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, module := range []string{"agent", "controlplane", "shared", "migrations", "grafana", "e2e"} {
		err := filepath.WalkDir(tree(t, module), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range function.FindAllStringSubmatch(string(text), -1) {
				names[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func TestSecurityDocumentNamesTestsThatExist(t *testing.T) {
	names := testNames(t)
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(read(t, "docs", "security.md"), -1)
	if len(named) < 20 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, m := range named {
		if !names[m[1]] {
			t.Errorf("docs/security.md names %s, which does not exist", m[1])
		}
	}
}

// Each threat of the identity and storage designs that is said to be proven has a test of its own name, and each such test
// stands in the row of its threat.
func TestSecurityDocumentListsEveryThreatTestInItsRow(t *testing.T) {
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (T\d+(?:, T\d+)*) \|.*$`).FindAllStringSubmatch(read(t, "docs", "security.md"), -1) {
		for _, id := range strings.Split(m[1], ", ") {
			rows[id] += m[0]
		}
	}
	proven := map[string]bool{}
	for name := range testNames(t) {
		m := regexp.MustCompile(`^TestThreat_T0*(\d+)_`).FindStringSubmatch(name)
		if m == nil {
			continue
		}
		proven["T"+m[1]] = true
		if !strings.Contains(rows["T"+m[1]], "`"+name+"`") {
			t.Errorf("docs/security.md does not name %s in the row of T%s", name, m[1])
		}
	}
	for _, id := range strings.Fields("T1 T6 T7 T8 T9 T10 T11 T12 T13 T14 T15 T16 T17 T18 T19 T25 T28 T29 T30 T32 T33") {
		if !proven[id] || rows[id] == "" {
			t.Errorf("%s has no test of its own name, or no row in docs/security.md", id)
		}
	}
}

// A table that stands in the database is either named, or a detail of one that is.
func TestDataProtectionDocumentKnowsEveryTable(t *testing.T) {
	text := read(t, "docs", "data-protection.md")
	// Random numbers, keys, names of clusters, prices: nothing about persons.
	details := "assertions link_challenges invitations signing_keys clusters tariffs tariff_intervals tariff_fetches"
	files, err := filepath.Glob(tree(t, "migrations", "postgres", "*.sql"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	var schema strings.Builder
	for _, file := range files {
		schema.WriteString(read(t, "migrations", "postgres", filepath.Base(file)))
	}
	for _, m := range regexp.MustCompile(`(?m)^CREATE (?:TABLE|VIEW) (\w+)`).FindAllStringSubmatch(schema.String(), -1) {
		if !strings.Contains(text, "`"+m[1]+"`") && !strings.Contains(" "+details+" ", " "+m[1]+" ") {
			t.Errorf("docs/data-protection.md does not say what is in %s", m[1])
		}
	}
}

// commands are the lines of a document that call our programs.
var commands = regexp.MustCompile("(?m)^(?:ERGON_\\w+=\\S+ )*(ergon(?:-agent|-server|-server-admin)?) ([^#\n]*)|`(ergon(?:-agent|-server|-server-admin)?) ([^`\n]*)`")

func TestDocumentsCallCommandsAndOptionsThatExist(t *testing.T) {
	word := regexp.MustCompile(`^[a-z][a-z-]*$`)
	flag := regexp.MustCompile(`--[a-z-]+`)
	seen := 0
	for _, doc := range []string{"../README.md", "agent.md", "cli.md", "configuration.md", "efficiency.md", "install.md", "uninstall.md", "data-protection.md", "security.md"} {
		for _, m := range commands.FindAllStringSubmatch(read(t, "docs", doc), -1) {
			name, rest := m[1]+m[3], m[2]+m[4]
			args := []string{}
			if name == "ergon-server-admin" { // a script around it: packaging/server
				name, args = "ergon-server", []string{"admin"}
			}
			for _, w := range strings.Fields(rest) {
				if !word.MatchString(w) || slices.Contains([]string{"alice", "lab", "nightly"}, w) {
					break
				}
				args = append(args, w)
			}
			if len(args) == 0 {
				continue
			}
			seen++
			checkCommand(t, doc, name, args, flag.FindAllString(rest, -1))
		}
	}
	if seen < 15 {
		t.Errorf("only %d commands were found in the documents", seen)
	}
}

func checkCommand(t *testing.T, doc, name string, args, flags []string) {
	t.Helper()
	if args[0] == "sbatch" { // passes everything on
		return
	}
	help := run(t, nil, slices.Concat([]string{program(t, name)}, args, []string{"--help"})...)
	if help.Code != 0 || !strings.Contains(help.Stdout, "Usage:\n  "+name+" "+strings.Join(args, " ")) {
		t.Errorf("docs/%s: `%s %s` is no command:\n%s", doc, name, strings.Join(args, " "), help.Stdout+help.Stderr)
	}
	for _, f := range flags {
		if !strings.Contains(help.Stdout, f+" ") {
			t.Errorf("docs/%s: `%s %s` has no option %s", doc, name, strings.Join(args, " "), f)
		}
	}
}

func TestDocumentsNameFilesThatAreShipped(t *testing.T) {
	shipped := read(t, "packaging", "nfpm", "agent.yaml") + read(t, "packaging", "nfpm", "server.yaml")
	for _, doc := range []string{"install.md", "uninstall.md", "data-protection.md"} {
		for _, path := range regexp.MustCompile(`/usr/(?:share|lib)/ergon[\w./-]*[\w]`).FindAllString(read(t, "docs", doc), -1) {
			if !strings.Contains(shipped, path) {
				t.Errorf("docs/%s names %s, which is in no package", doc, path)
			}
		}
	}
}
