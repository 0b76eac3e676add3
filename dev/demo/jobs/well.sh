#!/bin/bash
#SBATCH --job-name=well-sized --ntasks=1 --cpus-per-task=1 --mem=256M --time=1 --profile=task --output=well-%j.out
#ERGON outputs=result-*.txt
# Asks for what it uses.
srun python3 "$DEMO_JOBS/burn.py" 25 200
echo "the answer is 42" > "result-$SLURM_JOB_ID.txt"
