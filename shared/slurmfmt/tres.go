package slurmfmt

// TRES is a parsed list of trackable resources such as
// "cpu=4,mem=40G,node=1,gres/gpu:a100=2". The zero value is the empty list.
type TRES struct {
	items  []TRESItem
	faults int
}

// TRESItem is one name=value of a TRES list, as written.
type TRESItem struct {
	// Name is the whole name: "cpu", "mem", "gres/gpu:a100", "fs/disk".
	Name string
	// Value is the text after "=".
	Value string
}

// ParseTRES splits a TRES list. It never fails: parts without "=" or name are
// counted in Faults and left out; of a name that occurs twice the first counts.
func ParseTRES(s string) TRES { return parseTRES(s) }

// Items lists what was found, in order. The slice must not be changed.
func (t TRES) Items() []TRESItem { return t.items }

// Faults counts the parts that could not be read, duplicates included.
func (t TRES) Faults() int { return t.faults }

// Empty says that the list holds nothing.
func (t TRES) Empty() bool { return len(t.items) == 0 }

// Get gives the raw text of a name.
func (t TRES) Get(name string) (value string, ok bool) { return t.get(name) }

// Count gives a plain number: cpu and node of AllocTRES, energy (J), billing,
// fs/disk (bytes), gres/gpuutil (percent, summed or per the column's rule).
// Slurm's unset sentinels are Missing.
func (t TRES) Count(name string) Count { return t.count(name) }

// CPUs gives cpu of AllocTRES or ReqTRES: a number of CPUs (hardware threads
// where Slurm counts threads).
func (t TRES) CPUs() Count { return t.count("cpu") }

// Nodes gives node of AllocTRES.
func (t TRES) Nodes() Count { return t.count("node") }

// AllocMemory gives mem of AllocTRES or ReqTRES in bytes; a bare number is MiB.
func (t TRES) AllocMemory() Size { return t.size("mem", 1<<20) }

// UsageCPU gives cpu of TRESUsageIn*: a CPU time.
func (t TRES) UsageCPU() Duration { return t.duration("cpu") }

// UsageMemory gives mem of TRESUsageIn* in bytes; a bare number is bytes.
func (t TRES) UsageMemory() Size { return t.size("mem", 1) }

// UsageGPUMemory gives gres/gpumem of TRESUsageIn* in bytes.
func (t TRES) UsageGPUMemory() Size { return t.size("gres/gpumem", 1) }

// UsageGPUUtil gives gres/gpuutil of TRESUsageIn*, in percent of one GPU (in
// *Tot summed over tasks, in *Ave and *Max per task). 0.04 is a value, not idle.
func (t TRES) UsageGPUUtil() Number { v, _ := t.get("gres/gpuutil"); return parseNumber(v) }

// Energy gives energy in joule.
func (t TRES) Energy() Count { return t.count("energy") }

// GPUs counts the GPUs once: the generic gres/gpu where it is present, else the
// sum of the typed ones (gres/gpu:a100), never both. Missing when neither is there.
func (t TRES) GPUs() Count { return t.gpus() }

// GPUType is a number of GPUs of one model.
type GPUType struct {
	// Type is the text after the colon of gres/gpu:a100.
	Type string
	// N is the number of GPUs.
	N int64
}

// GPUTypes lists the typed GPUs in the order written.
func (t TRES) GPUTypes() []GPUType { return t.gpuTypes() }
