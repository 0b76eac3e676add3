package advice

import "testing"

func TestWhatAScriptAsksFor(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   Target
	}{
		"threads": {
			"#SBATCH -J fit_3 -A phys -p cpu -c 8 --mem=4G -t 90\n",
			Target{Nodes: 1, CPUs: 8, Tasks: 1, CPUsPerTask: 8, MemoryBytes: 4 << 30, LimitSeconds: 5400},
		},
		"ranks over nodes": {
			"#SBATCH --job-name=fit_3 --account phys -p cpu -N 2-4 --ntasks-per-node=16 --mem-per-cpu=1000\n",
			Target{Nodes: 2, CPUs: 32, Tasks: 32, CPUsPerTask: 1, MemoryBytes: 16 * 1000 << 20},
		},
		"whole nodes": {
			"#SBATCH -J fit_3 -Aphys -pcpu --exclusive --mem=0 --gres=gpu:2\n",
			Target{Nodes: 1, Tasks: 1, CPUsPerTask: 1, GPUs: 1},
		},
	} {
		d, err := ReadDirectives(c.script)
		if err != nil {
			t.Fatal(err)
		}
		got := TargetOfScript(d, "job.sh", "")
		c.want.Fingerprint = Fingerprint{Name: "fit_#", Account: "phys", Partition: "cpu"}
		if got.Numbers = nil; got.Fingerprint != c.want.Fingerprint || got.Nodes != c.want.Nodes || got.CPUs != c.want.CPUs || got.Tasks != c.want.Tasks ||
			got.CPUsPerTask != c.want.CPUsPerTask || got.MemoryBytes != c.want.MemoryBytes || got.LimitSeconds != c.want.LimitSeconds || got.GPUs != c.want.GPUs {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestTimeLimitsAsSbatchReadsThem(t *testing.T) {
	for text, want := range map[string]float64{
		"90": 5400, "1:30": 90, "2:00:00": 7200, "1-0": 86400, "1-02": 93600, "1-02:30": 95400, "1-02:30:05": 95405,
	} {
		if got, ok := TimeLimit(text); !ok || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "x", "1:2:3:4", "-1", "UNLIMITED", "1-2-3"} {
		if got, ok := TimeLimit(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWhatTheSiteDecidesComesFromTheNewestRun(t *testing.T) {
	old, fresh := spec{limit: 8}.run(), spec{limit: 16, limitHours: 2}.run()
	old.Report.Job.Submit, fresh.Report.Job.Submit = p(int64(1)), p(int64(2))
	d, err := ReadDirectives("#SBATCH -J fit_1\n")
	if err != nil {
		t.Fatal(err)
	}
	target := TargetOfScript(d, "job.sh", "")
	target.FillFrom([]Run{fresh, old})
	if target.MemoryBytes != 16*gib || target.LimitSeconds != 7200 {
		t.Errorf("%+v", target)
	}
}
