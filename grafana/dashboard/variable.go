package dashboard

type wireVariable struct {
	Name        string      `json:"name"`
	Label       string      `json:"label"`
	Description string      `json:"description,omitempty"`
	Type        string      `json:"type"`
	Query       string      `json:"query"`
	Datasource  *wireSource `json:"datasource,omitempty"`
	Current     wireCurrent `json:"current"`
	IncludeAll  bool        `json:"includeAll"`
	Multi       bool        `json:"multi"`
	Refresh     int         `json:"refresh,omitempty"`
	Sort        int         `json:"sort,omitempty"`
}

type wireCurrent struct {
	Text  any `json:"text,omitempty"`
	Value any `json:"value,omitempty"`
}

func chooseDatasource() wireVariable {
	return wireVariable{
		Name: datasourceVar, Label: "Database", Type: "datasource", Query: datasourceType,
		Description: "PostgreSQL of the control plane, through a role that may read the staff views only.",
	}
}

func encodeVariable(v Variable) wireVariable {
	w := wireVariable{Name: v.Name, Label: v.Label, Description: v.Description, Type: "textbox"}
	if v.SQL == "" {
		w.Current = wireCurrent{Text: "", Value: ""}
		return w
	}
	s := source()
	const onTimeRange, alphabetic = 2, 1
	w.Type, w.Query, w.Datasource, w.IncludeAll, w.Multi, w.Refresh, w.Sort = "query", v.SQL, &s, true, true, onTimeRange, alphabetic
	w.Current = wireCurrent{Text: []string{"All"}, Value: []string{"$__all"}}
	return w
}
