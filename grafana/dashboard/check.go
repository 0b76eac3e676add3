package dashboard

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	uidText  = regexp.MustCompile(`^[a-z][a-z0-9-]{1,39}$`)
	interval = regexp.MustCompile(`^[1-9][0-9]*[smhd]$`)
	varUse   = regexp.MustCompile(`\$\{([^}]*)\}|\[\[([^\]]*)\]\]`)
	macroUse = regexp.MustCompile(`\$__[a-zA-Z]+`)
)

// Check lists all that is wrong with a dashboard.
func Check(d Dashboard) error {
	var faults []error
	need(&faults, uidText.MatchString(d.UID), "uid %q: 2 to 40 of a-z, 0-9 and -", d.UID)
	need(&faults, d.Title != "" && d.Description != "" && d.From != "", "title, description and from are needed")
	need(&faults, len(d.Rows) > 0, "no rows")
	names := []string{datasourceVar}
	for _, v := range d.Variables {
		need(&faults, v.Name != "" && v.Label != "" && v.Description != "", "variable %q: name, label and description are needed", v.Name)
		need(&faults, !slices.Contains(names, v.Name), "variable %q stands twice", v.Name)
		checkSQL(&faults, "variable "+v.Name, v.SQL, names)
		names = append(names, v.Name)
	}
	titles := map[string]bool{}
	for i, row := range d.Rows {
		checkRow(&faults, fmt.Sprintf("row %d", i+1), row)
		for _, p := range row.Panels {
			need(&faults, !titles[p.Title], "two panels are called %q", p.Title)
			titles[p.Title] = true
			checkPanel(&faults, p, names)
		}
	}
	return errors.Join(faults...)
}

func need(faults *[]error, ok bool, format string, args ...any) {
	if !ok {
		*faults = append(*faults, fmt.Errorf(format, args...))
	}
}

func checkRow(faults *[]error, name string, row Row) {
	width := 0
	for _, p := range row.Panels {
		need(faults, p.Width > 0, "%s: panel %q has no width", name, p.Title)
		width += p.Width
	}
	need(faults, row.Height > 0 && width > 0, "%s: needs a height and panels", name)
	need(faults, width <= columns, "%s: panels are %d wide together, more than %d", name, width, columns)
}

func checkPanel(faults *[]error, p Panel, names []string) {
	where := fmt.Sprintf("panel %q", p.Title)
	need(faults, p.Title != "" && p.Description != "", "%s: title and description are needed", where)
	need(faults, p.View != nil, "%s: no view", where)
	need(faults, p.Query.SQL != "", "%s: no query", where)
	checkUnit(faults, where, p.Unit)
	for _, f := range p.Fields {
		need(faults, f.Name != "", "%s: a field without a name", where)
		if f.Unit != "" {
			checkUnit(faults, where+" field "+f.Name, f.Unit)
		}
	}
	buckets := strings.Contains(p.Query.SQL, "$__interval")
	need(faults, buckets == (p.MinInterval != ""), "%s: $__interval and MinInterval belong together", where)
	need(faults, p.MinInterval == "" || interval.MatchString(p.MinInterval), "%s: min interval %q is none such as 1h", where, p.MinInterval)
	_, lines := p.View.(Lines)
	need(faults, lines == p.Query.Time, "%s: lines need a query of time series, and only they", where)
	checkSQL(faults, where, p.Query.SQL, names)
}

// Units whose ids Grafana takes for lengths of time: 5000 core-hours would be shown as 30 weeks.
func checkUnit(faults *[]error, where, unit string) {
	need(faults, unit != "", "%s: no unit; %q is one too", where, "none")
	need(faults, unit != "h" && unit != "m" && unit != "d", "%s: unit %q is a length of time; use \"suffix: …\"", where, unit)
}

// macros are those that the tests expand as Grafana does.
var macros = []string{"$__timeFilter", "$__timeGroupAlias", "$__interval"}

// checkSQL: names come into SQL as quoted text only, and only views for the staff are read.
func checkSQL(faults *[]error, where, sql string, names []string) {
	for _, use := range varUse.FindAllStringSubmatch(sql, -1) {
		name, format, _ := strings.Cut(use[1], ":")
		need(faults, format == "sqlstring", "%s: %s must be ${name:sqlstring}", where, use[0])
		need(faults, slices.Contains(names, name), "%s: there is no variable %q before it", where, name)
	}
	for _, use := range macroUse.FindAllString(sql, -1) {
		need(faults, slices.Contains(macros, use), "%s: the tests do not know the macro %s", where, use)
	}
	for _, name := range names {
		need(faults, !regexp.MustCompile(`\$`+regexp.QuoteMeta(name)+`\b`).MatchString(sql), "%s: $%s must be ${%s:sqlstring}", where, name, name)
	}
	need(faults, !strings.Contains(sql, ";"), "%s: one statement, without a semicolon", where)
}
