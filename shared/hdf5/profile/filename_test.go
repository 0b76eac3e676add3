package profile

import (
	"errors"
	"fmt"
	"testing"
)

func TestFileNamesOfSlurm(t *testing.T) {
	cases := map[string]FileName{
		"20_0_n1.h5":                {JobID: 20, Step: "0", Node: "n1"},
		"20_batch_n1.h5":            {JobID: 20, Step: "batch", Node: "n1"},
		"9799476_12_c0103.h5":       {JobID: 9799476, Step: "12", Node: "c0103"},
		"7_0_gpu_rack-1.example.h5": {JobID: 7, Step: "0", Node: "gpu_rack-1.example"},
		"7_4294967290_n1.h5":        {JobID: 7, Step: "interactive", Node: "n1"},
		"7_4294967291_n1.h5":        {JobID: 7, Step: "batch", Node: "n1"},
		"7_4294967292_n1.h5":        {JobID: 7, Step: "extern", Node: "n1"},
		"job_23.h5":                 {JobID: 23, Merged: true},
	}
	for name, want := range cases {
		if got, err := ParseFileName(name); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestOtherFileNamesAreRefused(t *testing.T) {
	for _, name := range []string{
		"", ".h5", "20.h5", "20_0.h5", "20_0_.h5", "_0_n1.h5", "0_0_n1.h5", "020_0_n1.h5", "-1_0_n1.h5", "+1_0_n1.h5",
		"20_01_n1.h5", "20_x_n1.h5", "20_-1_n1.h5", "20_4294967293_n1.h5", "20_4294967296_n1.h5", "4294967296_0_n1.h5",
		"20_0_n1.h5.tmp", "20_0_n1.csv", "20_0_../n1.h5", "20_0_a/b.h5", "20_0_.hidden.h5", "20_0_a b.h5", "20_0_n\n1.h5",
		"job_.h5", "job_0.h5", "job_x.h5", "job_20_0.h5", "20_0_n\xff.h5",
	} {
		if got, err := ParseFileName(name); !errors.Is(err, ErrFileName) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
}

func FuzzParseFileName(f *testing.F) {
	for _, seed := range []string{"20_0_n1.h5", "20_batch_n1.h5", "job_23.h5", "7_0_a_b.h5", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := ParseFileName(name)
		if err != nil {
			return
		}
		back := fmt.Sprintf("%d_%s_%s.h5", got.JobID, got.Step, got.Node)
		if got.Merged {
			back = fmt.Sprintf("job_%d.h5", got.JobID)
		}
		again, err := ParseFileName(back)
		if err != nil || again != got {
			t.Fatalf("%q is %+v, which is written %q, which is %+v, %v", name, got, back, again, err)
		}
	})
}
