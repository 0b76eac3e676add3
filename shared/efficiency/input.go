package efficiency

import (
	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Input is all that is known about one job. Only Rows or Profiles is needed.
// Nothing in it is changed, and the Report shares no memory with it.
type Input struct {
	// ID is repeated in the report; empty means the job's own id.
	ID string
	// Rows are the job's accounting rows: job rows and step rows of all attempts,
	// in any order when they carry Start (see Group).
	Rows []*slurmfmt.Record
	// Sstat are the rows of `sstat -a -P` of a running job.
	Sstat []*slurmfmt.Record
	// Profiles are the job's HDF5 files, one per node and step, or merged.
	Profiles []ProfileFile
	// Cluster is optional. Without it nothing is assumed about gatherer, nodes or limits.
	Cluster *Cluster
	// NodeCPU gives the CPU seconds that all jobs together used on a node while this
	// job ran. Only with it can the energy of a shared node be split.
	NodeCPU map[string]float64
	// Price is in money per MWh, Carbon in gram CO2 equivalent per kWh.
	Price, Carbon *Tariff
	// Thresholds of the findings; nil means those of Cluster, else DefaultThresholds.
	Thresholds *Thresholds
	// MaxPoints bounds every line of Report.Series; 0 means DefaultMaxPoints.
	MaxPoints int
}

// DefaultMaxPoints is enough for a plot as wide as a screen.
const DefaultMaxPoints = 512

// ProfileFile is one HDF5 file. Step and Node come from the file's name
// (profile.ParseFileName); they are needed for node-step files, which do not name
// their step, and ignored for merged ones.
type ProfileFile struct {
	Step    string
	Node    string
	Profile *profile.Profile
}

// JobRows are the rows of one job.
type JobRows struct {
	// ID is the job's id as in the rows ("123_4"); empty when the rows have none.
	ID string
	// Rows are in the order of the input.
	Rows []*slurmfmt.Record
}
