package efficiency

import (
	"fmt"
	"testing"
)

// benchRows are the rows of n ordinary jobs with three steps each.
func benchRows(n int) []*record {
	var rows []*record
	for i := range n {
		id := fmt.Sprint(1000 + i)
		rows = append(rows,
			row("JobID="+id, "JobIDRaw="+id, "State=COMPLETED", "ExitCode=0:0", "DerivedExitCode=0:0", "User=alice", "Account=physics", "Partition=debug", "AllocCPUS=16", "ReqCPUS=16",
				"NNodes=2", "NodeList=n[1-2]", "Submit=2026-11-23T08:00:00", "Start=2026-11-23T08:00:05", "End=2026-11-23T09:00:05", "ElapsedRaw=3600", "TimelimitRaw=120",
				"ReqMem=64G", "AllocTRES=billing=16,cpu=16,mem=64G,node=2", "TotalCPU=14:00:00", "ConsumedEnergyRaw=0"),
			row("JobID="+id+".batch", "State=COMPLETED", "ExitCode=0:0", "NTasks=1", "NNodes=1", "NodeList=n1", "ElapsedRaw=3600", "TotalCPU=00:00.036", "MaxRSS=12140K", "TRESUsageInTot=cpu=00:00:00,energy=0,fs/disk=64841,mem=12140K,pages=0,vmem=287580K", "AllocTRES=cpu=8,mem=32G,node=1", "Start=2026-11-23T08:00:05", "End=2026-11-23T09:00:05"),
			row("JobID="+id+".extern", "State=COMPLETED", "ExitCode=0:0", "NTasks=2", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=3600", "TotalCPU=00:00.004", "MaxRSS=2312K", "TRESUsageInTot=cpu=00:00:00,mem=4584K", "Start=2026-11-23T08:00:05", "End=2026-11-23T09:00:05"),
			row("JobID="+id+".0", "State=COMPLETED", "ExitCode=0:0", "NTasks=16", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=3590", "TotalCPU=13:59:00", "MaxRSS=1G", "TRESUsageInTot=cpu=13:58:59,mem=15G", "TRESUsageInMax=cpu=00:53:00,mem=1G", "TRESUsageInAve=cpu=00:52:00,mem=960M", "AllocTRES=cpu=16,mem=64G,node=2", "Start=2026-11-23T08:00:10", "End=2026-11-23T09:00:00"))
	}
	return rows
}

func BenchmarkGroupAndAnalyse(b *testing.B) {
	const jobs = 1000
	rows := benchRows(jobs)
	b.ReportAllocs()
	for b.Loop() {
		for _, g := range Group(rows) {
			Analyse(Input{Rows: g.Rows})
		}
	}
	b.ReportMetric(float64(jobs*b.N)/b.Elapsed().Seconds(), "jobs/s")
}

func BenchmarkAnalyseWithProfile(b *testing.B) {
	var at, rss []float64
	for i := range 20000 {
		at, rss = append(at, float64(1000+i)), append(rss, float64(i))
	}
	var files []ProfileFile
	for n := range 4 {
		files = append(files, taskFile("0", fmt.Sprintf("n%d", n), rssTask(fmt.Sprint(n), at, rss)))
	}
	for b.Loop() {
		Analyse(Input{Profiles: files})
	}
	b.ReportMetric(float64(4*20000*b.N)/b.Elapsed().Seconds(), "samples/s")
}
