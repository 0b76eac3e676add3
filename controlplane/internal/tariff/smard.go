package tariff

import (
	"encoding/json"
	"errors"
	"fmt"
)

// readSMARD reads chart_data of the Bundesnetzagentur's SMARD: {"series": [[milliseconds since 1970, value or null], …]},
// prices in EUR per MWh. A line number is the position in series, from 1.
func readSMARD(text []byte) (reading, error) {
	var doc struct {
		Series []json.RawMessage `json:"series"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return reading{}, fmt.Errorf("this is no JSON of SMARD's: %w", err)
	}
	if doc.Series == nil {
		return reading{}, errors.New(`this JSON has no "series" as SMARD's chart_data has`)
	}
	r := reading{smard: true}
	for i, raw := range doc.Series {
		p, err := smardPoint(raw)
		if err != nil {
			r.fault(i+1, err)
			continue
		}
		p.line = i + 1
		r.points = append(r.points, p)
	}
	return r, nil
}

func smardPoint(raw json.RawMessage) (p point, err error) {
	var pair []*float64
	if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 || pair[0] == nil {
		return p, errors.New("not of the form [milliseconds, value]")
	}
	seconds := *pair[0] / 1000
	if seconds != float64(int64(seconds)) {
		return p, fmt.Errorf("%v ms is not a whole second", *pair[0])
	}
	if p.from = int64(seconds); !plausible(p.from) {
		return p, fmt.Errorf("%v ms is not between 1970 and 2200", *pair[0])
	}
	if pair[1] == nil {
		p.none = true
		return p, nil
	}
	p.value = *pair[1]
	return p, nil
}

// plausible keeps out times of which intervals cannot be made: before 1970 and after 2200.
func plausible(unix int64) bool { return unix >= 0 && unix < 7258118400 }
