package dashboard

// View is one of Grafana's built-in panels; the set is closed.
type View interface {
	kind() string
	options() any
	custom() any
}

// Stat is one big number: the last value of the only column.
type Stat struct{}

// Table shows the result as it is.
type Table struct{}

// Bars are horizontal bars, one for each line of the result.
type Bars struct{}

// Lines are time series. Lines are not filled, since filled series hide each other; a gap stays a gap.
type Lines struct {
	// Stacked draws bars that stand on each other, for parts of a whole.
	Stacked bool
}

func (Stat) kind() string  { return "stat" }
func (Table) kind() string { return "table" }
func (Bars) kind() string  { return "bargauge" }
func (Lines) kind() string { return "timeseries" }

type reduce struct {
	Calcs  []string `json:"calcs"`
	Fields string   `json:"fields"`
	Values bool     `json:"values"`
}

type statOptions struct {
	ColorMode     string `json:"colorMode"`
	GraphMode     string `json:"graphMode"`
	JustifyMode   string `json:"justifyMode"`
	Orientation   string `json:"orientation"`
	ReduceOptions reduce `json:"reduceOptions"`
	TextMode      string `json:"textMode"`
}

func (Stat) options() any {
	return statOptions{
		ColorMode: "none", GraphMode: "none", JustifyMode: "auto", Orientation: "auto", TextMode: "value",
		ReduceOptions: reduce{Calcs: []string{"lastNotNull"}},
	}
}

type tableOptions struct {
	CellHeight string `json:"cellHeight"`
	ShowHeader bool   `json:"showHeader"`
}

func (Table) options() any { return tableOptions{CellHeight: "sm", ShowHeader: true} }

type barOptions struct {
	DisplayMode   string `json:"displayMode"`
	Orientation   string `json:"orientation"`
	ReduceOptions reduce `json:"reduceOptions"`
	ShowUnfilled  bool   `json:"showUnfilled"`
	ValueMode     string `json:"valueMode"`
}

// Values must be true: otherwise a result of SQL is one bar, whatever its lines.
func (Bars) options() any {
	return barOptions{
		DisplayMode: "basic", Orientation: "horizontal", ShowUnfilled: true, ValueMode: "text",
		ReduceOptions: reduce{Calcs: []string{"lastNotNull"}, Values: true},
	}
}

type legend struct {
	Calcs       []string `json:"calcs"`
	DisplayMode string   `json:"displayMode"`
	Placement   string   `json:"placement"`
	ShowLegend  bool     `json:"showLegend"`
}

type tooltip struct {
	Mode string `json:"mode"`
	Sort string `json:"sort"`
}

type lineOptions struct {
	Legend  legend  `json:"legend"`
	Tooltip tooltip `json:"tooltip"`
}

func (Lines) options() any {
	return lineOptions{
		Legend:  legend{Calcs: []string{}, DisplayMode: "list", Placement: "bottom", ShowLegend: true},
		Tooltip: tooltip{Mode: "multi", Sort: "desc"},
	}
}

type stacking struct {
	Group string `json:"group"`
	Mode  string `json:"mode"`
}

type lineCustom struct {
	DrawStyle   string   `json:"drawStyle"`
	FillOpacity int      `json:"fillOpacity"`
	LineWidth   int      `json:"lineWidth"`
	ShowPoints  string   `json:"showPoints"`
	SpanNulls   bool     `json:"spanNulls"`
	Stacking    stacking `json:"stacking"`
}

func (l Lines) custom() any {
	c := lineCustom{DrawStyle: "line", LineWidth: 2, ShowPoints: "auto", Stacking: stacking{Group: "A", Mode: "none"}}
	if l.Stacked { // bars that stand on each other hide nothing
		c.DrawStyle, c.FillOpacity, c.LineWidth, c.Stacking.Mode = "bars", 80, 1, "normal"
	}
	return c
}

func (Stat) custom() any  { return nil }
func (Table) custom() any { return nil }
func (Bars) custom() any  { return nil }
