package dashboard

// Dashboard is one page. JSON fills in ids, refIds and positions.
type Dashboard struct {
	UID, Title, Description string
	Tags                    []string
	// From is the start of the first view, such as "now-30d"; it ends now.
	From      string
	Variables []Variable
	Rows      []Row
}

// Row is a line of panels from left to right. Their widths add up to at most 24.
type Row struct {
	Height int // in units of 30 px
	Panels []Panel
}

// Panel is one picture with its query.
type Panel struct {
	Title       string
	Description string // what is counted, from what, and what is missing
	Unit        string // Grafana's id of the unit
	Width       int
	Query       Query
	View        View
	Decimals    *int
	// Fields gives single columns another unit, title or link.
	Fields []Field
	// MinInterval is the smallest width of a time bucket, such as "1h"; needed where the query has $__interval.
	MinInterval string
}

// Query is SQL for the datasource of the variable "datasource".
type Query struct {
	SQL string
	// Time says that the result is a time series, with a column "time".
	Time bool
}

// Field changes one column of a table.
type Field struct {
	Name  string // the column's name in the result
	Title string
	Unit  string
	Link  *Link
}

// Link leads from a cell to another dashboard, in the same window of time.
type Link struct {
	Title string
	UID   string
	// Vars are set from columns of the same line: variable → column.
	Vars map[string]string
	// Keep are variables that keep their value.
	Keep []string
}

// Variable is a choice at the top of the page. With SQL it is a list with "All", without it a field for text.
type Variable struct {
	Name, Label, Description string
	SQL                      string
}
