package slurmfmt

import "testing"

// BenchmarkGet looks up a column as it is written, in another case, and one that the dump does not have.
func BenchmarkGet(b *testing.B) {
	rec := NewRecord(NewColumns(SacctColumns()...), nil, nil)
	for name, column := range map[string]string{"exact": "TRESUsageInTot", "other case": "tresusageintot", "upper case": "TRESUSAGEINTOT", "absent": "NoSuchColumn"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rec.Get(column)
			}
		})
	}
}
