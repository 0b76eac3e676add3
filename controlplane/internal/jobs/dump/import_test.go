package dump_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
)

func importer(t testing.TB, s *gormstore.Store, opt dump.Options) (*dump.Importer, *gormstore.Jobs) {
	t.Helper()
	g := gormstore.NewJobs(s)
	return dump.New(jobs.New(g, g, time.Now, nil), g, opt), g
}

// history writes a dump as a site keeps it: jobs, some with steps, some requeued, cancelled or never started.
func history(rows int, steps bool) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	b.WriteString("JobID|JobIDRaw|JobName|Partition|QOS|Account|Group|GID|User|UID|Submit|Eligible|Start|End|Elapsed|ExitCode|State|NNodes|NCPUS|ReqCPUS|ReqMem|ReqTRES|AllocTRES|Timelimit|NodeList\n")
	base := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int) string { return base.Add(time.Duration(s) * time.Second).Format("2006-01-02T15:04:05") }
	for n, id := 0, 1; n < rows; id++ {
		submit, wait, run := id*7, r.IntN(5000), r.IntN(20000)
		user, cpus := r.IntN(300), 1<<r.IntN(7)
		nodes, start, list, state := 1+cpus/32, at(submit+wait), fmt.Sprintf("n[%d]", r.IntN(900)), "COMPLETED"
		switch r.IntN(20) {
		case 0:
			state, start, list = fmt.Sprintf("CANCELLED by %d", 1000+user), "Unknown", "None assigned"
		case 1:
			state = "TIMEOUT"
		}
		end := at(submit + wait + run)
		fmt.Fprintf(&b, "%d|%d|job_%d|p%d|normal|acc%d|users|100|user%d|%d|%s|%s|%s|%s|%s|0:0|%s|%d|%d|%d|4000Mc|cpu=%d,mem=%dM,node=%d|cpu=%d,mem=%dM,node=%d|1-00:00:00|%s\n",
			id, id, r.IntN(50), id%4, user%20, user, 1000+user, at(submit), at(submit), start, end, clock(run), state, nodes, cpus, cpus, cpus, 4000*cpus, nodes, cpus, 4000*cpus, nodes, list)
		n++
		if steps && start != "Unknown" {
			for _, s := range []string{"batch", "extern", "0"} {
				fmt.Fprintf(&b, "%d.%s|%d.%s|%s|||acc%d|||||%s|%s|%s|%s|%s|0:0|COMPLETED|1|%d||||cpu=%d,mem=4G,node=1||%s\n", id, s, id, s, s, user%20, start, start, start, end, clock(run), cpus, cpus, list)
				n++
			}
		}
	}
	return b.Bytes()
}

func clock(s int) string { return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60) }

func TestSecondImportChangesNothing(t *testing.T) {
	data := history(3000, true)
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		for run, gz := range []bool{false, true} {
			im, _ := importer(t, s, dump.Options{Cluster: "old", ChunkRows: 500, Reject: func(r dump.Rejected) error {
				t.Errorf("rejected %+v", r)
				return nil
			}})
			in := data
			if gz {
				var b bytes.Buffer
				w := gzip.NewWriter(&b)
				_, _ = w.Write(data)
				_ = w.Close()
				in = b.Bytes()
			}
			if err := im.File(context.Background(), "history", bytes.NewReader(in)); err != nil {
				t.Fatal(err)
			}
			c := im.Counts()
			lines := int64(bytes.Count(data, []byte("\n")) - 1)
			if c.Rows != lines || run == 0 && c.Stored != lines || run == 1 && (c.Stored != 0 || c.Unchanged != lines) {
				t.Errorf("run %d: %+v of %d lines", run, c, lines)
			}
			if run == 0 && fmt.Sprint(c.Clusters) != "[old]" || run == 1 && len(c.Clusters) != 0 {
				t.Errorf("run %d made clusters %v", run, c.Clusters)
			}
		}
	})
}

func TestBadRowsAreNamedAndTheRestIsStored(t *testing.T) {
	const text = "JobID|State|Submit|Start|End|Cluster\n1|COMPLETED|2024-01-01T00:00:00|2024-01-01T00:00:01|2024-01-01T00:00:02|a\n" +
		"x1|COMPLETED|2024-01-01T00:00:00|2024-01-01T00:00:01|2024-01-01T00:00:02|a\n" +
		"3|COMPLETED||||a\n4.0|COMPLETED|2024-01-01T00:00:00|2024-01-01T00:00:01|2024-01-01T00:00:02|a\n" +
		"5|COMPLETED|2024-01-01T00:00:00|2024-01-01T00:00:01|2024-01-01T00:00:02|\n6.batch|COMPLETED||2024-01-01T00:00:01|2024-01-01T00:00:02|b\n6|COMPLETED|2024-01-01T00:00:00|2024-01-01T00:00:01|2024-01-01T00:00:02|b\n"
	var got []dump.Rejected
	im, _ := importer(t, storetest.SQLite(t), dump.Options{Reject: func(r dump.Rejected) error { got = append(got, r); return nil }})
	if err := im.File(context.Background(), "f", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	lines := map[int]bool{}
	for _, r := range got {
		lines[r.Line] = true
		if r.Reason == "" || r.Text == "" {
			t.Errorf("%+v", r)
		}
	}
	if fmt.Sprint(lines) != "map[3:true 4:true 5:true 6:true]" || im.Counts().Stored != 3 {
		t.Errorf("rejected lines %v, %+v", lines, im.Counts())
	}
}

func TestColumnsOfOtherToolsAreUnderstood(t *testing.T) {
	const columns = "jobid|jobidraw|cluster|partition|qos|account|group|gid|user|uid|submit|eligible|start|end|elapsed|exitcode|state|nnodes|ncpus|reqcpus|reqmem|reqtres|alloctres|timelimit|nodelist|jobname"
	const row = "7_3|9|big|gpu|normal|phys|users|100|alice|1002|2024-03-30T12:00:00|2024-03-30T12:00:00|2024-03-30T13:00:00|2024-04-01T13:00:00|2-00:00:00|0:0|CANCELLED by 1002|2|64|64|4Gc||billing=64,cpu=64,gres/gpu:a100=4,mem=256G,node=2|3-00:00:00|n[1-2]|we|ird name\n"
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]dump.Options{"header": {Location: berlin}, "columns": {Location: berlin, Columns: strings.Split(columns, "|")}} {
		t.Run(name, func(t *testing.T) {
			text := row
			if opt.Columns == nil {
				text = strings.ToUpper(columns) + "\n" + row
			}
			s := storetest.SQLite(t)
			im, g := importer(t, s, opt)
			if err := im.File(context.Background(), "f", strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
			list, err := g.ListJobs(context.Background(), jobs.Filter{}, jobs.Page{Limit: 5})
			if err != nil || len(list) != 1 {
				t.Fatalf("%d jobs, %v; %+v", len(list), err, im.Counts())
			}
			j := list[0]
			a, err := g.AttemptsOf(context.Background(), texts(j))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal([]any{j.Cluster, j.SlurmJobID, j.JobIDRaw, j.UnixUser, j.Name, j.SlurmState, j.Nodes, j.CPUs, j.GPUs, j.MemoryBytes, j.StartAt, a[j.ID][0].WallS, a[j.ID][0].WaitS})
			const want = `["big","7_3","9","alice","we|ird name","CANCELLED",2,64,4,274877906944,"2024-03-30T12:00:00Z",169200,3600]`
			if string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func BenchmarkImport(b *testing.B) {
	for _, steps := range []bool{false, true} {
		b.Run(fmt.Sprintf("sqlite/steps=%v", steps), func(b *testing.B) {
			s := storetest.SQLite(b)
			data := history(b.N, steps)
			im, _ := importer(b, s, dump.Options{Cluster: "old"})
			b.ResetTimer()
			if err := im.File(context.Background(), "history", bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func texts(j jobs.Job) []uuid.UUID { return []uuid.UUID{j.ID} }
