package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func good() Dashboard {
	return Dashboard{
		UID: "ergon-test", Title: "Test", Description: "A test.", From: "now-1d",
		Variables: []Variable{{Name: "cluster", Label: "Cluster", Description: "Which.", SQL: "SELECT 1"}},
		Rows: []Row{
			{Height: 4, Panels: []Panel{
				{Title: "One", Description: "D.", Unit: "short", Width: 12, View: Stat{}, Query: Query{SQL: "SELECT 1 FROM t WHERE c IN (${cluster:sqlstring})"}},
				{Title: "Two", Description: "D.", Unit: "short", Width: 12, View: Bars{}, Query: Query{SQL: "SELECT 'a', 1"}},
			}},
			{Height: 8, Panels: []Panel{{
				Title: "Three", Description: "D.", Unit: "suffix:core-h", Width: 24, View: Lines{}, MinInterval: "1h",
				Query: Query{SQL: "SELECT $__timeGroupAlias(t,$__interval), 1 FROM x WHERE $__timeFilter(t) GROUP BY 1", Time: true},
			}}},
		},
	}
}

func TestARightDashboardHasNoFaults(t *testing.T) {
	if err := Check(good()); err != nil {
		t.Fatal(err)
	}
}

func TestCheckNamesTheFault(t *testing.T) {
	panel := func(change func(*Panel)) func(*Dashboard) {
		return func(d *Dashboard) { change(&d.Rows[0].Panels[0]) }
	}
	cases := map[string]struct {
		change func(*Dashboard)
		want   string
	}{
		"uid":                            {func(d *Dashboard) { d.UID = "Ergon Test" }, "uid"},
		"no description":                 {func(d *Dashboard) { d.Description = "" }, "description"},
		"no rows":                        {func(d *Dashboard) { d.Rows = nil }, "no rows"},
		"too wide":                       {panel(func(p *Panel) { p.Width = 13 }), "25 wide"},
		"no width":                       {panel(func(p *Panel) { p.Width = 0 }), "no width"},
		"no height":                      {func(d *Dashboard) { d.Rows[0].Height = 0 }, "height"},
		"same title":                     {panel(func(p *Panel) { p.Title = "Two" }), "two panels"},
		"no panel description":           {panel(func(p *Panel) { p.Description = "" }), "title and description"},
		"no unit":                        {panel(func(p *Panel) { p.Unit = "" }), "no unit"},
		"core-hours as hours":            {panel(func(p *Panel) { p.Unit = "h" }), "length of time"},
		"field with hours":               {panel(func(p *Panel) { p.Fields = []Field{{Name: "x", Unit: "h"}} }), "length of time"},
		"field without name":             {panel(func(p *Panel) { p.Fields = []Field{{Title: "x"}} }), "without a name"},
		"no query":                       {panel(func(p *Panel) { p.Query.SQL = "" }), "no query"},
		"no view":                        {panel(func(p *Panel) { p.View = nil }), "no view"},
		"bare variable":                  {panel(func(p *Panel) { p.Query.SQL = "SELECT '$cluster'" }), "$cluster"},
		"variable in another format":     {panel(func(p *Panel) { p.Query.SQL = "SELECT ${cluster:raw}" }), "sqlstring"},
		"old variable syntax":            {panel(func(p *Panel) { p.Query.SQL = "SELECT [[cluster]]" }), "sqlstring"},
		"unknown variable":               {panel(func(p *Panel) { p.Query.SQL = "SELECT ${user:sqlstring}" }), "no variable"},
		"unknown macro":                  {panel(func(p *Panel) { p.Query.SQL = "SELECT $__unixEpochFilter(t)" }), "$__unixEpochFilter"},
		"two statements":                 {panel(func(p *Panel) { p.Query.SQL = "SELECT 1; SELECT 2" }), "semicolon"},
		"interval without minimum":       {func(d *Dashboard) { d.Rows[1].Panels[0].MinInterval = "" }, "MinInterval"},
		"minimum without interval":       {panel(func(p *Panel) { p.MinInterval = "1h" }), "MinInterval"},
		"odd interval":                   {func(d *Dashboard) { d.Rows[1].Panels[0].MinInterval = "often" }, "often"},
		"lines without time":             {func(d *Dashboard) { d.Rows[1].Panels[0].Query.Time = false }, "time series"},
		"time without lines":             {panel(func(p *Panel) { p.Query.Time = true }), "time series"},
		"variable twice":                 {func(d *Dashboard) { d.Variables = append(d.Variables, d.Variables[0]) }, "twice"},
		"variable without label":         {func(d *Dashboard) { d.Variables[0].Label = "" }, "label"},
		"variable that uses a later one": {func(d *Dashboard) { d.Variables[0].SQL = "SELECT ${cluster:sqlstring}" }, "no variable"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := good()
			c.change(&d)
			err := Check(d)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want something about %q", err, c.want)
			}
			if _, err := JSON(d); err == nil {
				t.Fatal("JSON wrote it nevertheless")
			}
		})
	}
}

func TestJSONPlacesPanelsWithoutOverlap(t *testing.T) {
	text, err := JSON(good())
	if err != nil {
		t.Fatal(err)
	}
	var w struct{ Panels []wirePanel }
	if err := json.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	want := []gridPos{{H: 4, W: 12, X: 0, Y: 0}, {H: 4, W: 12, X: 12, Y: 0}, {H: 8, W: 24, X: 0, Y: 4}}
	for i, p := range w.Panels {
		if p.GridPos != want[i] || p.ID != i+1 {
			t.Errorf("panel %d has id %d at %+v, want %+v", i, p.ID, p.GridPos, want[i])
		}
	}
	if len(w.Panels) != len(want) {
		t.Errorf("%d panels, want %d", len(w.Panels), len(want))
	}
}

func TestJSONIsTheSameEachTime(t *testing.T) {
	a, errA := JSON(good())
	b, errB := JSON(good())
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two renderings differ (%v, %v)", errA, errB)
	}
}

func TestLinksCarryTheWindowOfTimeAndQuoteNames(t *testing.T) {
	l := Link{UID: "ergon-jobs", Vars: map[string]string{"user": "unix_user", "account": "account"}, Keep: []string{"cluster"}}
	want := `/d/ergon-jobs?${__url_time_range}&${datasource:queryparam}&${cluster:queryparam}` +
		`&var-account=${__data.fields["account"]:percentencode}&var-user=${__data.fields["unix_user"]:percentencode}`
	if got := l.url(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestBarsShowEachLineOfTheResult(t *testing.T) {
	text, err := JSON(good())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"values": true`) {
		t.Error("a bar gauge without reduceOptions.values shows one bar, whatever the query returns")
	}
}
