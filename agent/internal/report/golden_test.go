package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

var update = flag.Bool("update", false, "write golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; with -update it is written anew. Got:\n%s", file, got)
	}
}

// rows makes records of a table with a header; cells are parted by "|".
func rows(text string) []*slurmfmt.Record {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	columns := slurmfmt.NewColumns(strings.Split(lines[0], "|")...)
	var out []*slurmfmt.Record
	for _, line := range lines[1:] {
		out = append(out, slurmfmt.NewRecord(columns, strings.Split(line, "|"), time.UTC))
	}
	return out
}

func reportsOf(text string) (all []efficiency.Report) {
	for _, job := range efficiency.Group(rows(text)) {
		all = append(all, efficiency.Analyse(efficiency.Input{Rows: job.Rows}))
	}
	return all
}

const header = "JobID|JobIDRaw|Cluster|User|Account|Partition|State|ExitCode|DerivedExitCode|Submit|Start|End|ElapsedRaw|TimelimitRaw|NNodes|AllocCPUS|ReqMem|AllocTRES|NodeList|TotalCPU|NTasks|MaxRSS|TRESUsageInTot|ConsumedEnergyRaw|Reason|JobName\n"

const who = "|c1|alice|physics|batch|"

// cases are jobs that people meet, as sacct tells them.
var cases = map[string]string{
	"well_sized": header +
		"10|10" + who + "COMPLETED|0:0|0:0|1700000000|1700000060|1700007260|7200|150|1|8|16G|billing=8,cpu=8,mem=16G,node=1|n1|15:36:00|||||None|solver\n" +
		"10.batch|10.batch" + who + "COMPLETED|0:0||1700000060|1700000060|1700007260|7200||1|8||cpu=8,mem=16G,node=1|n1|15:36:00|1|13G|cpu=15:36:00,mem=13G||None|batch",
	"wasteful": header +
		"11|11" + who + "COMPLETED|0:0|0:0|1700000000|1700000060|1700036060|36000|1440|1|32|128G|billing=32,cpu=32,mem=128G,node=1|n1|09:55:00|||||None|one\x1b[31mred\n" +
		"11.batch|11.batch" + who + "COMPLETED|0:0||1700000060|1700000060|1700036060|36000||1|32||cpu=32,mem=128G,node=1|n1|09:55:00|1|3G|cpu=09:55:00,mem=3G||None|batch",
	"out_of_memory": header +
		"12|12" + who + "OUT_OF_MEMORY|0:125|0:125|1700000000|1700000060|1700010860|10800|600|1|4|8G|billing=4,cpu=4,mem=8G,node=1|n12|11:00:00|||||None|big\n" +
		"12.batch|12.batch" + who + "OUT_OF_MEMORY|0:125||1700000060|1700000060|1700010860|10800||1|4||cpu=4,mem=8G,node=1|n12|11:00:00|1|7900M|cpu=11:00:00,mem=7900M||None|batch",
	"timeout": header +
		"13|13" + who + "TIMEOUT|0:0|0:0|1700000000|1700000060|1700003690|3630|60|1|2|4G|billing=2,cpu=2,mem=4G,node=1|n1|01:58:00|||||None|slow\n" +
		"13.batch|13.batch" + who + "CANCELLED|0:15||1700000060|1700000060|1700003690|3630||1|2||cpu=2,mem=4G,node=1|n1|01:58:00|1|2G|cpu=01:58:00,mem=2G||None|batch",
	"never_started": header +
		"14|14" + who + "CANCELLED by 1000|0:0|0:0|1700000000|None|1700000100|0|60|2|64|4G|billing=64,cpu=64,mem=4G,node=2|None assigned|00:00:00|||||Priority|late",
	"running": header +
		"15|15" + who + "RUNNING|0:0|0:0|1700000000|1700000060|Unknown|600|60|1|4|4G|billing=4,cpu=4,mem=4G,node=1|n1|00:00:00|||||None|now",
	"requeued": header +
		"16|16" + who + "NODE_FAIL|0:0|0:0|1700000000|1700000060|1700003660|3600|240|1|4|8G|billing=4,cpu=4,mem=8G,node=1|n1|03:00:00|||||None|again\n" +
		"16|16" + who + "COMPLETED|0:0|0:0|1700003661|1700003800|1700011000|7200|240|1|4|8G|billing=4,cpu=4,mem=8G,node=1|n2|07:30:00|||||None|again\n" +
		"16.batch|16.batch" + who + "COMPLETED|0:0||1700003800|1700003800|1700011000|7200||1|4||cpu=4,mem=8G,node=1|n2|07:30:00|1|6G|cpu=07:30:00,mem=6G||None|batch",
	"partially_measured": header +
		"17|17" + who + "COMPLETED|0:0|0:0|1700000000|1700000060|1700003660|3600|120|20|640|2560G|billing=640,cpu=640,mem=2560G,node=20|n[1-20]|31:00:00|||||None|mpi\n" +
		"17.batch|17.batch" + who + "COMPLETED|0:0||1700000060|1700000060|1700003660|3600||1|32||cpu=32,mem=128G,node=1|n1|31:00:00|1|60G|cpu=1-07:00:00,mem=60G||None|batch",
	"gpus": header +
		"18|18" + who + "COMPLETED|0:0|0:0|1700000000|1700000060|1700007260|7200|180|1|8|32G|billing=8,cpu=8,mem=32G,node=1,gres/gpu=2,gres/gpu:a100=2|n1|15:36:00|||||None|train\n" +
		"18.batch|18.batch" + who + "COMPLETED|0:0||1700000060|1700000060|1700007260|7200||1|8||cpu=8,mem=32G,node=1,gres/gpu=2|n1|15:36:00|1|26G|cpu=15:36:00,mem=26G,gres/gpuutil=37,gres/gpumem=11G||None|batch",
}

func TestReportsOfTheJobsThatPeopleMeet(t *testing.T) {
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			for _, r := range reportsOf(text) {
				if err := Print(&b, r, Style{Location: time.UTC}); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(b.String(), "\x1b") {
				t.Error("an escape sequence of a job name got through")
			}
			golden(t, name, b.Bytes())
		})
	}
}

// The golden file stands for this as well; it says what must not be lost when it is written anew.
func TestTheReportOfAGPUJobHasARowOfItsOwn(t *testing.T) {
	var b bytes.Buffer
	if err := Print(&b, reportsOf(cases["gpus"])[0], Style{Location: time.UTC}); err != nil {
		t.Fatal(err)
	}
	if row := regexp.MustCompile(`(?m)^  GPU +2 GPUs .*$`).FindString(b.String()); !strings.Contains(row, "18.5 %") {
		t.Errorf("the row of the GPUs is %q in:\n%s", row, b.String())
	}
}

func arrayText() string {
	var b strings.Builder
	b.WriteString(header)
	task := func(id, state, exit, elapsed, cpu, mem string) {
		b.WriteString("20_" + id + "|3" + id + who + state + "|" + exit + "|0:0|1700000000|1700000060|1700001000|" + elapsed + "|60|1|2|4G|billing=2,cpu=2,mem=4G,node=1|n1|" + cpu + "|||||None|sweep\n")
		b.WriteString("20_" + id + ".batch|3" + id + ".batch" + who + "COMPLETED|" + exit + "||1700000060|1700000060|1700001000|" + elapsed + "||1|2||cpu=2,mem=4G,node=1|n1|" + cpu + "|1|" + mem + "|cpu=" + cpu + ",mem=" + mem + "||None|batch\n")
	}
	for i, cpu := range []string{"00:30:00", "00:29:00", "00:20:00", "00:10:00", "00:05:00", "00:28:00"} {
		task(string(rune('0'+i)), "COMPLETED", "0:0", "940", cpu, []string{"1G", "2G", "3G", "1G", "1G", "512M"}[i])
	}
	task("6", "FAILED", "3:0", "10", "00:00:10", "100M")
	task("7", "FAILED", "3:0", "11", "00:00:11", "100M")
	task("9", "FAILED", "3:0", "11", "00:00:11", "100M")
	task("8", "OUT_OF_MEMORY", "0:125", "500", "00:10:00", "4G")
	return b.String()
}

func TestArrayPageGroupsFailuresByCause(t *testing.T) {
	var b bytes.Buffer
	if err := Array(&b, reportsOf(arrayText()), Style{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--array=6,7,9 ", "--array=8 ", "exit code 3", "out of memory", "10 tasks"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	golden(t, "array", b.Bytes())
}

func TestTrafficOfTheNodesIsShownPerSecond(t *testing.T) {
	for _, name := range []string{"network_in", "network_out", "filesystem_read", "filesystem_write"} {
		if got := seriesValue(name, 5<<20); got != "5 MiB/s" {
			t.Errorf("%s: %q", name, got)
		}
		if !slices.ContainsFunc(sparkNames, func(row struct{ name, title string }) bool { return row.name == name }) {
			t.Errorf("%s has no row", name)
		}
	}
}

func TestTerminalsGetColoursAndSparklines(t *testing.T) {
	r := reportsOf(cases["wasteful"])[0]
	v := func(f float64) *float64 { return &f }
	r.Series = &efficiency.SeriesSet{Points: 4, Step: 60, Lines: []efficiency.Line{{Name: "cpu_cores", Values: []*float64{v(0), v(1), nil, v(4)}}, {Name: "power", Values: []*float64{nil, nil, nil, nil}}}}
	var plain, rich bytes.Buffer
	if err := Print(&plain, r, Style{Location: time.UTC}); err != nil {
		t.Fatal(err)
	}
	if err := Print(&rich, r, Style{Location: time.UTC, Color: true, Sparks: true}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(plain.String(), "\x1b▁█") {
		t.Error("a pipe got colours or sparklines")
	}
	if !strings.Contains(rich.String(), "▁▃ █") || !strings.Contains(rich.String(), "\x1b[1m") || strings.Contains(rich.String(), "Power ") {
		t.Errorf("no sparkline with its gap, no bold, or a line without data:\n%q", rich.String())
	}
}
