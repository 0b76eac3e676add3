package tariff

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

func unix(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.Unix()
}

func read(t *testing.T, text, zone string) File {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(strings.NewReader(text), Options{Kind: Price, Location: loc})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFormsOfFiles(t *testing.T) {
	hour := []efficiency.Interval{{From: 1767225600, To: 1767229200, Value: 84.5}, {From: 1767229200, To: 1767232800, Value: -3}}
	for name, text := range map[string]string{
		"start and price":           "start,price\n2026-01-01T00:00:00Z,84.5\n2026-01-01T01:00:00Z,-3\n",
		"start, end and price":      "start,end,price\n2026-01-01T00:00Z,2026-01-01T01:00Z,84.5\n2026-01-01T01:00Z,2026-01-01T02:00Z,-3\n",
		"out of order":              "start,price\n2026-01-01T01:00:00Z,-3\n2026-01-01T00:00:00Z,84.5\n",
		"seconds since 1970":        "time,eur\n1767225600,84.5\n1767229200,-3\n",
		"a mark of byte order":      "\ufeffstart,price\n2026-01-01 00:00,84.5\n2026-01-01 01:00,-3\n",
		"semicolons, German":        "Datum von;Datum bis;Deutschland [€/MWh]\n01.01.2026 00:00;01.01.2026 01:00;84,50\n01.01.2026 01:00;01.01.2026 02:00;-3,00\n",
		"tabs":                      "start\tprice\n2026-01-01 00:00\t84.5\n2026-01-01 01:00\t-3\n",
		"SMARD":                     `{"meta_data":{"version":1},"series":[[1767225600000,84.5],[1767229200000,-3]]}`,
		"said twice":                "start,price\n2026-01-01T00:00:00Z,84.5\n2026-01-01T00:00:00Z,84.5\n2026-01-01T01:00:00Z,-3\n",
		"columns in another order":  "price,end,start\n84.5,2026-01-01T01:00Z,2026-01-01T00:00Z\n-3,2026-01-01T02:00Z,2026-01-01T01:00Z\n",
		"offsets other than of UTC": "start,price\n2026-01-01T01:00:00+01:00,84.5\n2026-01-01T02:00:00+01:00,-3\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, text, "UTC")
			if diff := cmp.Diff(hour, f.Intervals); diff != "" || len(f.Faults) > 0 {
				t.Errorf("faults %v, -want +got:\n%s", f.Faults, diff)
			}
		})
	}
}

func TestATimeWithoutAValueHasNone(t *testing.T) {
	f := read(t, `{"series":[[0,1],[3600000,null],[7200000,3],[10800000,4]]}`, "UTC")
	want := []efficiency.Interval{{From: 0, To: 3600, Value: 1}, {From: 7200, To: 10800, Value: 3}, {From: 10800, To: 14400, Value: 4}}
	if diff := cmp.Diff(want, f.Intervals); diff != "" || f.Empty != 1 {
		t.Errorf("%d empty, -want +got:\n%s", f.Empty, diff)
	}
	csv := read(t, "start;price\n1970-01-01 00:00;1\n1970-01-01 01:00;-\n1970-01-01 02:00;3\n1970-01-01 03:00;4\n", "UTC")
	if diff := cmp.Diff(want, csv.Intervals); diff != "" {
		t.Error(diff)
	}
}

func TestAHoleInTheStartsIsNotBridged(t *testing.T) {
	f := read(t, "start,price\n1970-01-01 00:00,1\n1970-01-01 01:00,2\n1970-01-02 00:00,3\n1970-01-02 01:00,4\n", "UTC")
	if got := f.Intervals[1]; got.To != 7200 {
		t.Errorf("the price before the hole lasts until %d", got.To)
	}
	change := read(t, "start,price\n1970-01-01 00:00,1\n1970-01-01 01:00,2\n1970-01-01 02:00,3\n1970-01-01 02:15,4\n1970-01-01 02:30,5\n", "UTC")
	if got := change.Intervals[1]; got.To != 7200 {
		t.Errorf("hours that become quarters: %+v", change.Intervals)
	}
}

func TestTheHourThatIsThereTwice(t *testing.T) {
	// On 25 October 2026 the clocks in Berlin go back at 03:00.
	f := read(t, "start,price\n2026-10-25 01:00,1\n2026-10-25 02:00,2\n2026-10-25 02:00,3\n2026-10-25 03:00,4\n", "Europe/Berlin")
	if len(f.Faults) > 0 || len(f.Intervals) != 4 {
		t.Fatalf("%+v", f)
	}
	first := unix(t, "2026-10-24T23:00:00Z")
	for i, iv := range f.Intervals {
		if iv.From != first+int64(i)*3600 || iv.To-iv.From != 3600 {
			t.Errorf("interval %d is %s to %s", i, stamp(iv.From), stamp(iv.To))
		}
	}
}

func TestBadLinesAreNamedAndTheOthersStay(t *testing.T) {
	f := read(t, strings.Join([]string{
		"start,end,price",
		"2026-01-01T00:00Z,2026-01-01T01:00Z,1",
		"yesterday,2026-01-01T02:00Z,2",
		"2026-01-01T02:00Z,2026-01-01T02:00Z,2",
		"2026-01-01T03:00Z,2026-01-01T04:00Z,cheap",
		"2026-01-01T04:00Z,2026-01-01T05:00Z,NaN",
		"2026-01-01T05:00Z,2026-01-01T06:00Z,1e300",
		"2026-01-01T06:00Z",
		"1815-01-01T06:00Z,2026-01-01T07:00Z,1",
		"2026-01-01T00:30Z,2026-01-01T01:30Z,9",
		"2026-01-01T07:00Z,2026-01-01T08:00Z,8",
	}, "\n"), "UTC")
	var lines []int
	for _, fault := range f.Faults {
		if fault.Reason == "" {
			t.Error("no reason")
		}
		lines = append(lines, fault.Line)
	}
	if diff := cmp.Diff([]int{3, 4, 5, 6, 7, 8, 9, 10}, lines); diff != "" {
		t.Errorf("%v\n%s", f.Faults, diff)
	}
	if len(f.Intervals) != 2 {
		t.Errorf("%v", f.Intervals)
	}
}

func TestFilesThatAreNoTariffs(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no header": "2026-01-01T00:00Z,1\n", "one start without an end": "start,price\n2026-01-01,1\n",
		"JSON of something else": `{"a":1}`, "cut JSON": `{"series":[[1`,
	} {
		if f, err := Read(strings.NewReader(text), Options{Kind: Price}); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
	smard := read(t, `{"series":[[1.5,1],["a",2],[0,1,2],[1e30,3],[3600000,1],[7200000,1]]}`, "UTC")
	if len(smard.Faults) != 4 || len(smard.Intervals) != 2 {
		t.Errorf("%+v", smard)
	}
}

func TestCarbonIsNotNegative(t *testing.T) {
	f, err := Read(strings.NewReader("start,value\n2026-01-01,400\n2026-01-02,-1\n2026-01-03,300\n"), Options{Kind: Carbon})
	if err != nil || len(f.Faults) != 1 || f.Faults[0].Line != 3 {
		t.Errorf("%+v, %v", f, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("start,price\n2026-01-01T00:00:00Z,84.5\n2026-01-01T01:00:00Z,-3\n"))
	f.Add([]byte("Datum von;Datum bis;x\n01.01.2026 00:00;01.01.2026 01:00;1.084,50\n"))
	f.Add([]byte(`{"series":[[1767225600000,84.5],[1767229200000,null]]}`))
	f.Add([]byte("start,end,price\n2026-10-25 02:00,2026-10-25 02:00,1\n\"\n"))
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Read(strings.NewReader(string(text)), Options{Kind: Price, Location: loc})
		if err != nil {
			return
		}
		for i, iv := range file.Intervals {
			if iv.To <= iv.From || CheckValue(Price, iv.Value) != nil {
				t.Fatalf("interval %+v", iv)
			}
			if i > 0 && iv.From < file.Intervals[i-1].To {
				t.Fatalf("%+v overlaps %+v", iv, file.Intervals[i-1])
			}
		}
	})
}
