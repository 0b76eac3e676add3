package profile

// Clock is the time axis of a series. Rows are in the order of the file.
type Clock struct {
	ElapsedS Column // ElapsedTime: seconds since the step began on this node
	EpochS   Column // EpochTime: seconds since 1970 UTC; may repeat
}

// Len is the number of rows.
func (c *Clock) Len() int { return max(len(c.ElapsedS), len(c.EpochS)) }

// TaskSeries holds the samples of one task: `/<node>/Tasks/<id>`.
type TaskSeries struct {
	ID string // global task id (rank) as written in the file
	Clock
	CPUFreqMHz     Column // CPUFrequency: MHz, a gauge
	CPUTimeS       Column // CPUTime: CPU seconds spent in the interval that ends at the row
	CPUUtilPercent Column // CPUUtilization: percent of ONE core over the interval, 400 = four cores
	RSSBytes       Column // RSS (file: KiB), a gauge
	VMSizeBytes    Column // VMSize (file: KiB), a gauge
	Pages          Column // Pages: major page faults since the task began
	ReadBytes      Column // ReadMB (file: MiB) in the interval
	WriteBytes     Column // WriteMB (file: MiB) in the interval
	GPUMemBytes    Column // GPUMemMB (file: MiB), a gauge; newer Slurm only
	GPUUtilPercent Column // GPUUtilization: percent, a gauge; newer Slurm only
}

// EnergySeries holds `/<node>/Energy`. It is about the whole node, also when
// several steps or jobs run there.
type EnergySeries struct {
	Clock
	PowerW Column // Power: watt, a gauge; the first one to three rows are 0
}

// NetworkSeries holds `/<node>/Network`, about the whole node.
type NetworkSeries struct {
	Clock
	PacketsIn, PacketsOut Column // packets in the interval
	InBytes, OutBytes     Column // InMB, OutMB (file: MiB) in the interval
	// SuspectSwapped says that the values look as acct_gather_interconnect/sysfs
	// writes them: PacketsIn/Out hold bytes, InMB/OutMB hold packets / 65536.
	// The columns are left as they are in the file; Unswapped puts them right.
	SuspectSwapped bool
}

// FilesystemSeries holds `/<node>/Filesystem` (Lustre), about the whole node.
type FilesystemSeries struct {
	Clock
	Reads, Writes         Column // operations
	ReadBytes, WriteBytes Column // ReadMB, WriteMB (file: MiB)
	// SuspectCumulative says that the columns grow and hardly ever fall: they hold
	// counters since the mount, not amounts of each interval. The columns are left as they
	// are in the file; Differences gives amounts.
	SuspectCumulative bool
}
