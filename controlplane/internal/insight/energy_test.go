package insight

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// hourly is a tariff of 1, 2, 3, … for the hours since 1970.
type hourly struct{ asked [2]time.Time }

func (h *hourly) Tariffs(_ context.Context, _ string, from, to time.Time) (price, carbon *efficiency.Tariff, err error) {
	h.asked = [2]time.Time{from, to}
	price = &efficiency.Tariff{Unit: "EUR"}
	for at := from.Unix() / 3600; at*3600 < to.Unix(); at++ {
		price.Intervals = append(price.Intervals, efficiency.Interval{From: at * 3600, To: at*3600 + 3600, Value: float64(at)})
	}
	return price, nil, nil
}

func rowMaterial(pairs ...string) Material {
	var names, values []string
	for _, p := range pairs {
		name, v, _ := strings.Cut(p, "=")
		names, values = append(names, name), append(values, v)
	}
	return Material{ClusterName: "c", Rows: []Row{{Record: slurmfmt.NewRecord(slurmfmt.NewColumns(names...), values, nil)}}}
}

func TestOnlyWhatWasInForceDuringTheJobIsAnInput(t *testing.T) {
	h := &hourly{}
	s := &Service{cfg: Config{Tariffs: h}}
	one, err := s.energy(t.Context(), rowMaterial("Start=360000", "End=363600"))
	if err != nil || h.asked[0].Unix() != 356400 || h.asked[1].Unix() != 367200 {
		t.Fatalf("asked for %v, %v", h.asked, err)
	}
	again, _ := s.energy(t.Context(), rowMaterial("Start=360000", "End=363600"))
	other, _ := s.energy(t.Context(), rowMaterial("Start=720000", "End=723600"))
	if one.digest() != again.digest() || one.digest() == other.digest() || one.digest() == "" {
		t.Error("the digest names the prices of the job's time")
	}
	if none, _ := (&Service{}).energy(t.Context(), rowMaterial("Start=360000")); none.digest() != "" {
		t.Error("without tariffs and files stored reports stay as they are")
	}
}

func TestTheSpanOfAJob(t *testing.T) {
	for name, c := range map[string]struct {
		m        Material
		from, to int64
		ok       bool
	}{
		"ended":          {rowMaterial("Start=1000", "End=2000"), 1000, 2000, true},
		"running":        {rowMaterial("Start=1000", "End=Unknown", "ElapsedRaw=500"), 1000, 1500, true},
		"never started":  {rowMaterial("Start=Unknown", "End=2000"), 0, 0, false},
		"hostile length": {rowMaterial("Start=1000", "End=Unknown", "ElapsedRaw=99999999999"), 1000, 1000 + 1e9, true},
	} {
		from, to, ok := c.m.span()
		if ok != c.ok || ok && (from.Unix() != c.from || to.Unix() != c.to) {
			t.Errorf("%s: %v to %v, %v", name, from, to, ok)
		}
	}
}

func TestSitesAreReadByName(t *testing.T) {
	sites, err := ReadSites(fstest.MapFS{
		"alpha.json": {Data: []byte(`{"pue":1.2}`)}, "readme.txt": {Data: []byte("x")}, ".hidden.json": {Data: []byte("{")},
	})
	if err != nil || len(sites) != 1 || sites["alpha"].PUE != 1.2 {
		t.Errorf("%v, %v", sites, err)
	}
	_, err = ReadSites(fstest.MapFS{"a.json": {Data: []byte(`{"pue":"much"}`)}, "b.json": {Data: []byte(`{"watts":1}`)}})
	if err == nil || !strings.Contains(err.Error(), "a.json") || !strings.Contains(err.Error(), "b.json") {
		t.Errorf("all faults at once: %v", err)
	}
}
