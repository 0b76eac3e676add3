package efficiency

import (
	"reflect"
	"testing"
)

// leaking is a job of two hours whose memory grows from 1 GiB by 20 MiB every 36 seconds: 1.95 GiB an hour.
func leaking() Input {
	var at, grow []float64
	for i := range 200 {
		at = append(at, float64(1000+36*i))
		grow = append(grow, float64(1<<30)+float64(i)*20*(1<<20))
	}
	task := rssTask("0", at, grow)
	return Input{
		Rows:     []*record{longJob("Start=1000", "End=8200")},
		Profiles: []ProfileFile{taskFile("0", "n1", task)},
	}
}

func rowsOf(rows ...*record) Input { return Input{Rows: rows} }

// thresholdCase is a job that a threshold decides about: off and on are values on the two sides of what the job shows.
type thresholdCase struct {
	field   string
	in      Input
	rule    Rule
	off, on float64
}

func thresholdCases() []thresholdCase {
	oneGPU := "AllocTRES=cpu=16,mem=64G,node=1,gres/gpu=1"
	sampled := rowsOf(longJob(), step0(goodCPU+",mem=8G"))
	sampled.Cluster = &Cluster{JobAcctGather: linux, TaskInterval: 360} // exactly 20 intervals
	near := rowsOf(longJob(), step0(goodCPU+",mem=62G"))                // 96.9 %
	near.Cluster = &Cluster{JobAcctGather: linux}
	cache := rowsOf(longJob(), step0(goodCPU+",mem=65000M")) // 99.2 %
	cache.Cluster = &Cluster{JobAcctGather: "jobacct_gather/cgroup", CgroupVersion: 2}
	two := Input{
		Rows:     []*record{profiledJob("AllocTRES=cpu=16,mem=64G,node=2"), step0("cpu=08:04:48,mem=2G", "NNodes=2", "NodeList=n[1-2]", "NTasks=2")},
		Profiles: []ProfileFile{busyNode("n1", "0", 4, 1<<30), busyNode("n2", "1", 0.4, 1<<30)}, // 0.4 of 8: 5 %
	}
	differ := Input{
		Rows:     []*record{longJob("Start=1000", "End=8200"), step0("cpu=10:00:00,mem=1G")}, // the profile saw 8 h
		Profiles: []ProfileFile{busyNode("n1", "0", 4, 1<<30)},
	}
	uneven := rowsOf(longJob(), step0(goodCPU+","+goodMem, "NTasks=4", "TRESUsageInMax=mem=24G,cpu=07:00:00", "TRESUsageInAve=mem=12G,cpu=07:00:00"))
	serial := rowsOf(longJob(), step0(serialCPU+","+goodMem))                            // one core of 16
	spare := rowsOf(longJob(), step0(goodCPU+",mem=16G"))                                // 25 % of 64 G
	late := rowsOf(longJob("Timelimit=20:00:00"), step0(goodCPU+","+goodMem))            // 10 %, 18 h left
	perGPU := rowsOf(longJob(oneGPU), step0("cpu=06:24:00,"+goodMem+",gres/gpuutil=90")) // 20 % of 16 CPUs
	memGPU := rowsOf(longJob(oneGPU), step0(goodCPU+",mem=16G,gres/gpuutil=90"))         // 25 % of 64 G
	fewGPU := rowsOf(longJob(oneGPU), step0(goodCPU+","+goodMem+",gres/gpuutil=5"))      // 5 %
	return []thresholdCase{
		{"MinElapsedSeconds", serial, RuleSerialOnManyCores, 7201, 7200},
		{"IdleGPUPercent", fewGPU, RuleIdleGPU, 4.9, 5},
		{"LowGPUPercent", fewGPU, RuleLowGPU, 5, 5.1},
		{"IdleNodePercent", two, RuleIdleNode, 4, 6},
		{"SerialCores", serial, RuleSerialOnManyCores, 0.99, 1},
		{"SerialMinCPUs", serial, RuleSerialOnManyCores, 17, 16},
		{"MemoryOverPercent", spare, RuleMemoryOver, 25, 25.1},
		{"MemoryOverMinBytes", spare, RuleMemoryOver, 48 << 30, 43 << 30},
		{"MemoryMargin", spare, RuleMemoryOver, 3.9, 3.8}, // 4 × 16 G less 2 G that have to be freed
		{"MemoryMinIntervals", sampled, RuleMemoryOver, 20.1, 20},
		{"TimeOverPercent", late, RuleTimeOver, 10, 10.1},
		{"TimeOverMinSeconds", late, RuleTimeOver, 18*3600 + 1, 18 * 3600},
		{"MemoryNearPercent", near, RuleMemoryNearLimit, 97, 96.8},
		{"PageCachePercent", cache, RulePageCache, 99.3, 99.1},
		{"CoresPerGPUPercent", perGPU, RuleCoresPerGPU, 20, 20.1},
		{"CoresPerGPUMin", perGPU, RuleCoresPerGPU, 16, 15.9},
		{"MemoryPerGPUPercent", memGPU, RuleMemoryPerGPU, 25, 25.1},
		{"MemoryPerGPUMinBytes", memGPU, RuleMemoryPerGPU, 64 << 30, 63 << 30},
		{"ImbalanceRatio", uneven, RuleImbalance, 2.1, 2},
		{"OversubscriptionPercent", rowsOf(longJob(), step0("cpu=1-16:00:00,"+goodMem)), RuleOversubscription, 125, 124},
		{"LeakBytesPerHour", leaking(), RuleMemoryLeak, 4 << 30, 1 << 30},
		{"LeakGrowthPercent", leaking(), RuleMemoryLeak, 1000, 100},
		{"TooShortSeconds", rowsOf(longJob("ElapsedRaw=90"), step0("cpu=00:01:30,mem=1G")), RuleTooShort, 90, 91},
		{"DisagreementPercent", differ, RuleSourceDisagreement, 30, 10},
	}
}

// relaxed are thresholds that let every case through but for its own.
func relaxed() Thresholds {
	t := DefaultThresholds()
	t.MemoryPerGPUMinBytes = 32 << 30
	return t
}

func TestEachThresholdDecidesAboutItsRule(t *testing.T) {
	tested := map[string]bool{"TimeMargin": true} // a factor of the advice, below
	for _, c := range thresholdCases() {
		tested[c.field] = true
		t.Run(c.field, func(t *testing.T) {
			for value, fires := range map[float64]bool{c.off: false, c.on: true} {
				limits := relaxed()
				set(&limits, c.field, value)
				in := c.in
				in.Thresholds = &limits
				r := Analyse(in)
				if f := hasRule(r, c.rule); (f != nil) != fires {
					t.Errorf("%s = %v: %s fired: %v, want %v\n%+v", c.field, value, c.rule, f != nil, fires, r.Findings)
				}
			}
		})
	}
	kind := reflect.TypeFor[Thresholds]()
	for i := range kind.NumField() {
		if !tested[kind.Field(i).Name] {
			t.Errorf("no job shows what %s does", kind.Field(i).Name)
		}
	}
}

func set(t *Thresholds, field string, value float64) {
	f := reflect.ValueOf(t).Elem().FieldByName(field)
	if f.CanInt() {
		f.SetInt(int64(value))
		return
	}
	f.SetFloat(value)
}

func TestMarginsAreInTheAdvice(t *testing.T) {
	limits := DefaultThresholds()
	limits.TimeMargin, limits.MemoryMargin = 2, 2
	r := Analyse(Input{Rows: []*record{longJob("Timelimit=3-00:00:00"), step0(goodCPU + ",mem=8G")}, Thresholds: &limits})
	if f := hasRule(r, RuleTimeOver); f == nil || f.Directive != "--time=04:00:00" {
		t.Errorf("%+v", f)
	}
	if f := hasRule(r, RuleMemoryOver); f == nil || f.Directive != "--mem=16G" {
		t.Errorf("%+v", f)
	}
}

func TestTheSitesFileSetsThresholds(t *testing.T) {
	file, err := ParseCluster([]byte(`{"thresholds": {"serial_cores": 0.5}}`))
	if err != nil {
		t.Fatal(err)
	}
	if file.Thresholds.SerialCores != 0.5 || file.Thresholds.SerialMinCPUs != DefaultThresholds().SerialMinCPUs {
		t.Errorf("%+v", file.Thresholds)
	}
	rows := []*record{longJob(), step0(serialCPU + "," + goodMem)}
	if hasRule(Analyse(Input{Rows: rows}), RuleSerialOnManyCores) == nil {
		t.Error("one core of sixteen is found by default")
	}
	site := (&Cluster{Name: "c"}).Overlay(file)
	if f := hasRule(Analyse(Input{Rows: rows, Cluster: site}), RuleSerialOnManyCores); f != nil {
		t.Errorf("%+v", f)
	}
	own := DefaultThresholds()
	if hasRule(Analyse(Input{Rows: rows, Cluster: site, Thresholds: &own}), RuleSerialOnManyCores) == nil {
		t.Error("the caller's own thresholds come first")
	}
	if plain, err := ParseCluster([]byte(`{}`)); err != nil || plain.Thresholds != nil {
		t.Errorf("a file without thresholds: %+v, %v", plain.Thresholds, err)
	}
	if _, err := ParseCluster([]byte(`{"thresholds": {"serial_cares": 1}}`)); err == nil {
		t.Error("a misspelt threshold was accepted")
	}
}
