package dashboard

import (
	"maps"
	"slices"
	"strings"
)

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type wirePanel struct {
	ID          int          `json:"id"`
	Type        string       `json:"type"`
	Title       string       `json:"title"`
	Description string       `json:"description"`
	Datasource  wireSource   `json:"datasource"`
	GridPos     gridPos      `json:"gridPos"`
	Interval    string       `json:"interval,omitempty"`
	Targets     []wireTarget `json:"targets"`
	FieldConfig wireFields   `json:"fieldConfig"`
	Options     any          `json:"options"`
}

type wireTarget struct {
	RefID      string     `json:"refId"`
	Datasource wireSource `json:"datasource"`
	EditorMode string     `json:"editorMode"`
	Format     string     `json:"format"`
	RawQuery   bool       `json:"rawQuery"`
	RawSQL     string     `json:"rawSql"`
}

type wireFields struct {
	Defaults  wireDefaults   `json:"defaults"`
	Overrides []wireOverride `json:"overrides"`
}

type wireDefaults struct {
	Unit     string `json:"unit"`
	Decimals *int   `json:"decimals,omitempty"`
	NoValue  string `json:"noValue"`
	Min      *int   `json:"min,omitempty"`
	Custom   any    `json:"custom,omitempty"`
}

type wireOverride struct {
	Matcher    wireMatcher    `json:"matcher"`
	Properties []wireProperty `json:"properties"`
}

type wireMatcher struct {
	ID      string `json:"id"`
	Options string `json:"options"`
}

type wireProperty struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

type wireLink struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank"`
}

// noValue stands where SQL gives NULL: what is not known is not 0.
const noValue = "not known"

func encodePanel(p Panel, id int, at gridPos) wirePanel {
	format := "table"
	if p.Query.Time {
		format = "time_series"
	}
	w := wirePanel{
		ID: id, Type: p.View.kind(), Title: p.Title, Description: p.Description, Datasource: source(), GridPos: at,
		Interval: p.MinInterval, Options: p.View.options(),
		Targets:     []wireTarget{{RefID: "A", Datasource: source(), EditorMode: "code", Format: format, RawQuery: true, RawSQL: p.Query.SQL}},
		FieldConfig: wireFields{Defaults: wireDefaults{Unit: p.Unit, Decimals: p.Decimals, NoValue: noValue, Custom: p.View.custom()}, Overrides: []wireOverride{}},
	}
	if p.View.kind() == (Bars{}).kind() {
		zero := 0 // bars are compared by length
		w.FieldConfig.Defaults.Min = &zero
	}
	for _, f := range p.Fields {
		w.FieldConfig.Overrides = append(w.FieldConfig.Overrides, encodeField(f))
	}
	return w
}

func encodeField(f Field) wireOverride {
	o := wireOverride{Matcher: wireMatcher{ID: "byName", Options: f.Name}, Properties: []wireProperty{}}
	if f.Title != "" {
		o.Properties = append(o.Properties, wireProperty{ID: "displayName", Value: f.Title})
	}
	if f.Unit != "" {
		o.Properties = append(o.Properties, wireProperty{ID: "unit", Value: f.Unit})
	}
	if f.Link != nil {
		link := wireLink{Title: f.Link.Title, URL: f.Link.url()}
		o.Properties = append(o.Properties, wireProperty{ID: "links", Value: []wireLink{link}})
	}
	return o
}

// url is Grafana's template of the address: names of people and accounts are percent-encoded by it.
func (l Link) url() string {
	var b strings.Builder
	b.WriteString("/d/" + l.UID + "?${__url_time_range}&${" + datasourceVar + ":queryparam}")
	for _, name := range l.Keep {
		b.WriteString("&${" + name + ":queryparam}")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Vars)) {
		b.WriteString("&var-" + name + "=${__data.fields[\"" + l.Vars[name] + "\"]:percentencode}")
	}
	return b.String()
}
