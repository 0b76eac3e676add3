package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The engine of the dashboards' SQL.
const (
	datasourceType = "grafana-postgresql-datasource"
	datasourceVar  = "datasource"
	schemaVersion  = 41
	columns        = 24 // Grafana's grid
)

// JSON is the dashboard as Grafana imports it, or the list of what is wrong with it. The same dashboard gives the same bytes.
func JSON(d Dashboard) ([]byte, error) {
	if err := Check(d); err != nil {
		return nil, fmt.Errorf("dashboard %q: %w", d.UID, err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(encode(d)); err != nil {
		return nil, fmt.Errorf("dashboard %q: %w", d.UID, err)
	}
	return b.Bytes(), nil
}

type wireDashboard struct {
	UID           string      `json:"uid"`
	Title         string      `json:"title"`
	Description   string      `json:"description"`
	Tags          []string    `json:"tags"`
	Editable      bool        `json:"editable"`
	GraphTooltip  int         `json:"graphTooltip"`
	Panels        []wirePanel `json:"panels"`
	Refresh       string      `json:"refresh"`
	SchemaVersion int         `json:"schemaVersion"`
	Templating    wireList    `json:"templating"`
	Time          wireTime    `json:"time"`
	Timezone      string      `json:"timezone"`
}

type wireTime struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type wireList struct {
	List []wireVariable `json:"list"`
}

type wireSource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// source is whatever the reader has chosen at the top of the page.
func source() wireSource { return wireSource{Type: datasourceType, UID: "${" + datasourceVar + "}"} }

func encode(d Dashboard) wireDashboard {
	w := wireDashboard{
		UID: d.UID, Title: d.Title, Description: d.Description, Tags: append([]string{"ergon"}, d.Tags...),
		GraphTooltip: 1, SchemaVersion: schemaVersion, Time: wireTime{From: d.From, To: "now"}, Timezone: "browser",
		Templating: wireList{List: []wireVariable{chooseDatasource()}},
	}
	for _, v := range d.Variables {
		w.Templating.List = append(w.Templating.List, encodeVariable(v))
	}
	y := 0
	for _, row := range d.Rows {
		x := 0
		for _, p := range row.Panels {
			at := gridPos{H: row.Height, W: p.Width, X: x, Y: y}
			w.Panels = append(w.Panels, encodePanel(p, len(w.Panels)+1, at))
			x += p.Width
		}
		y += row.Height
	}
	return w
}
