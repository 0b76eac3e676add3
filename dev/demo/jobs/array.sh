#!/bin/bash
#SBATCH --job-name=sweep --array=1-4 --ntasks=1 --mem=100M --time=2 --output=sweep-%A_%a.out
#ERGON scratch
# Each task writes what Ergon carries home: everything below $ERGON_OUTPUT_DIR/<task>.
out="${ERGON_OUTPUT_DIR:?}/$SLURM_ARRAY_TASK_ID"
mkdir -p "$out" "${ERGON_SCRATCH_DIR:?}"
srun python3 "$DEMO_JOBS/burn.py" $((2 * SLURM_ARRAY_TASK_ID)) 40 0.1
echo "task $SLURM_ARRAY_TASK_ID" > "$out/energy.csv"
