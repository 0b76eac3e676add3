package grafana

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// password is that of Grafana's role in this suite's private server.
const password = "of-a-private-server"

var server *harness.Postgres

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, s *harness.Stack) (err error) {
		server, err = s.StartPostgres(ctx)
		return err
	}))
}

// fresh is a database with the schema, and with the test's rows when asked for; staff is Grafana's role in it.
func fresh(t *testing.T, name string, rows bool) (owner, staff database) {
	t.Helper()
	harness.Need(t, server)
	url, err := server.NewDatabase(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if owner, err = prepare(t.Context(), url, password); err != nil {
		t.Fatal(err)
	}
	if rows {
		if err := owner.load(t.Context(), "testdata/rows.sql"); err != nil {
			t.Fatal(err)
		}
	}
	return owner, owner.as("ergon_grafana", password)
}

var choices = map[string][]string{"cluster": {"lab", "a'quote"}, "user": {""}, "account": {""}}

// each runs a test for every query of every panel.
func each(t *testing.T, run func(*testing.T, panel, string)) {
	t.Helper()
	all, err := dashboards()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 {
		t.Fatalf("%d dashboards; the generated files are missing", len(all))
	}
	for _, d := range all {
		for _, p := range d.Panels {
			t.Run(d.UID+"/"+p.Title, func(t *testing.T) {
				sql, err := expand(p.Targets[0].RawSQL, choices)
				if err != nil {
					t.Fatal(err)
				}
				run(t, p, sql)
			})
		}
	}
}

func TestEveryPanelShowsSomethingOfRealRows(t *testing.T) {
	_, staff := fresh(t, "rows", true)
	each(t, func(t *testing.T, p panel, sql string) {
		got, err := staff.query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) < 2 || strings.ReplaceAll(strings.Join(got[1], ""), null, "") == "" {
			t.Fatalf("no row with a value: %v\n%s", got, sql)
		}
		if p.Targets[0].Format == "time_series" && got[0][0] != "time" {
			t.Errorf("a time series without the column time: %v", got[0])
		}
		for _, o := range p.FieldConfig.Overrides {
			if !slices.Contains(got[0], o.Matcher.Options) {
				t.Errorf("an override names %q, which is none of %v", o.Matcher.Options, got[0])
			}
		}
	})
}

func TestEveryPanelRunsOnAnEmptyDatabase(t *testing.T) {
	_, staff := fresh(t, "empty", false)
	each(t, func(t *testing.T, p panel, sql string) {
		got, err := staff.query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		counts := strings.Contains(sql, "SELECT count(*)")
		if p.Type == "stat" && !counts && got[1][0] != null {
			t.Errorf("%q where nothing is known: it must be NULL", got[1][0])
		}
	})
}

// The rows of testdata/rows.sql, added up by head: j1 has 20 of 24 core-hours, j3 100 that nobody measured.
func TestNumbersAreThoseOfTheRows(t *testing.T) {
	_, staff := fresh(t, "numbers", true)
	want := map[string]string{
		"ergon-cluster/Jobs ended":               "4",
		"ergon-cluster/Jobs with a report":       "0.75",
		"ergon-cluster/Core-hours allocated":     "124",
		"ergon-cluster/Core-hours used":          "15",
		"ergon-cluster/Core-hours wasted":        "9",
		"ergon-cluster/Share of core-hours used": "0.625", // 15 of 24: the 100 of j3 are not known and not 0
		"ergon-cluster/GiB-hours allocated":      "3",
		"ergon-cluster/GiB-hours wasted":         "2",
		"ergon-cluster/GPU-hours wasted":         "1",
		"ergon-cluster/Energy":                   "5000",
		"ergon-jobs/Jobs ended":                  "4",
		"ergon-jobs/Ended without success":       "0.25",
		"ergon-jobs/Running now":                 "1",
		"ergon-jobs/Pending now":                 "1",
	}
	each(t, func(t *testing.T, _ panel, sql string) {
		_, name, _ := strings.Cut(t.Name(), "/")
		number, checked := want[strings.ReplaceAll(name, "_", " ")]
		if !checked {
			return
		}
		delete(want, strings.ReplaceAll(name, "_", " "))
		got, err := staff.query(t.Context(), "SELECT ("+sql+")::float8::numeric = "+number+", ("+sql+")")
		if err != nil {
			t.Fatal(err)
		}
		if got[1][0] != "t" {
			t.Errorf("got %s, want %s", got[1][1], number)
		}
	})
	if len(want) > 0 {
		t.Errorf("no panel is called %v", want)
	}
}

func TestFieldsOfTextNarrowAndCannotInject(t *testing.T) {
	_, staff := fresh(t, "narrow", true)
	all, err := dashboards()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(d dashboard) bool { return d.UID == "ergon-jobs" })
	for user, want := range map[string]string{"": "4", "alice": "3", "bob": "1", "carol": "0", "' OR '1'='1": "0", "'; DROP VIEW staff_jobs; --": "0"} {
		sql, err := expand(all[i].Panels[0].Targets[0].RawSQL, map[string][]string{"cluster": {"lab"}, "user": {user}, "account": {""}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := staff.query(t.Context(), sql); err != nil || got[1][0] != want {
			t.Errorf("user %q: %v, %v; want %s", user, got, err, want)
		}
	}
}

func TestVariablesListWhatThereIs(t *testing.T) {
	_, staff := fresh(t, "variables", true)
	all, err := dashboards()
	if err != nil {
		t.Fatal(err)
	}
	lists := 0
	for _, d := range all {
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			lists++
			if got, err := staff.query(t.Context(), v.Query); err != nil || len(got) != 3 {
				t.Errorf("%s, %s: %v, %v; want lab and other", d.UID, v.Name, got, err)
			}
		}
	}
	if lists == 0 {
		t.Error("no dashboard lets one choose a cluster")
	}
}

// T21: the datasource is no border between users, so what the role may read at all is the border.
func TestThreat_T21_GrafanasRoleReadsStaffViewsAndNothingElse(t *testing.T) {
	owner, staff := fresh(t, "border", true)
	tables, err := owner.query(t.Context(), "SELECT relname, relkind FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' AND relkind IN ('r', 'v')")
	if err != nil || len(tables) < 20 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	views := 0
	for _, row := range tables[1:] {
		_, err := staff.query(t.Context(), fmt.Sprintf("SELECT count(*) FROM %q", row[0]))
		isView := row[1] == "v"
		if isView {
			views++
		}
		if (err == nil) != isView {
			t.Errorf("%s (%s): %v", row[0], row[1], err)
		}
	}
	if views != 3 {
		t.Errorf("%d views, want 3: grant the new one in role.sql", views)
	}
	for _, sql := range []string{
		"SET default_transaction_read_only = off; DELETE FROM staff_agents", "SET default_transaction_read_only = off; UPDATE staff_agents SET agent = ''",
		"SET ROLE ergon", "CREATE TABLE t (x int)", "SET default_transaction_read_only = off; CREATE TABLE t (x int)",
		"SELECT pg_read_file('/etc/passwd')", "SELECT pw_hash FROM users",
	} {
		if got, err := staff.query(t.Context(), sql); err == nil {
			t.Errorf("%s: allowed: %v", sql, got)
		}
	}
}

func TestPanelsDoNotOverlapAndIdsAreUnique(t *testing.T) {
	all, err := dashboards()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		taken := map[[2]int]string{}
		ids := map[int]bool{}
		for _, p := range d.Panels {
			if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s, %s: id %d twice, or beyond the grid", d.UID, p.Title, p.ID)
			}
			ids[p.ID] = true
			for x := range p.GridPos.W {
				for y := range p.GridPos.H {
					at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
					if other := taken[at]; other != "" {
						t.Fatalf("%s: %s lies over %s", d.UID, p.Title, other)
					}
					taken[at] = p.Title
				}
			}
		}
	}
}
