package gormstore

import "github.com/ergon-hpc/ergon/controlplane/internal/analytics"

// A report is about a whole job: it counts with the job's last incarnation that started and ended.
const energyJoin = ` LEFT JOIN reports r ON r.job_id = a.job_id AND a.wall_s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts n
	WHERE n.job_id = a.job_id AND n.attempt > a.attempt AND n.wall_s IS NOT NULL)`

const usageEnergy = `
	COALESCE(SUM(r.energy_j), 0) AS joules, COUNT(r.energy_j) AS energy_known,
	COALESCE(SUM(CASE WHEN r.energy_open THEN 1 ELSE 0 END), 0) AS energy_open,
	COALESCE(SUM(r.cost), 0) AS cost, COUNT(r.cost) AS costed,
	COALESCE(MIN(r.cost_unit), '') AS unit_first, COALESCE(MAX(r.cost_unit), '') AS unit_last,
	COALESCE(SUM(r.carbon_g), 0) AS grams, COUNT(r.carbon_g) AS carbon_known,
	COALESCE(SUM(r.wasted_core_s), 0) AS core_s, COUNT(r.wasted_core_s) AS core_known,
	COALESCE(SUM(r.wasted_memory_byte_s), 0) AS byte_s, COUNT(r.wasted_memory_byte_s) AS byte_known,
	COALESCE(SUM(r.wasted_gpu_s), 0) AS gpus_s, COUNT(r.wasted_gpu_s) AS gpus_known`

type energySums struct {
	Joules      float64
	EnergyKnown int64
	EnergyOpen  int64
	Cost        float64
	Costed      int64
	UnitFirst   string
	UnitLast    string
	Grams       float64
	CarbonKnown int64
	CoreS       float64
	CoreKnown   int64
	ByteS       float64
	ByteKnown   int64
	GpusS       float64
	GpusKnown   int64
}

func (e energySums) energy(jobs int64) analytics.Energy {
	return analytics.Energy{
		Jobs: jobs, Joules: e.Joules, Known: e.EnergyKnown, Open: e.EnergyOpen, Cost: e.Cost, Costed: e.Costed,
		Unit: e.UnitFirst, Mixed: e.UnitFirst != e.UnitLast, Grams: e.Grams, Carbon: e.CarbonKnown,
		Core: analytics.Waste{S: e.CoreS, Known: e.CoreKnown}, Byte: analytics.Waste{S: e.ByteS, Known: e.ByteKnown},
		GPU: analytics.Waste{S: e.GpusS, Known: e.GpusKnown},
	}
}
