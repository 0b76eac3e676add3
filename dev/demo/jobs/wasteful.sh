#!/bin/bash
#SBATCH --job-name=wasteful --ntasks=1 --cpus-per-task=4 --mem=2G --time=4:00:00 --output=wasteful-%j.out
# One busy core of four, 60 MB of 2 GB, 25 seconds of four hours.
srun python3 "$DEMO_JOBS/burn.py" 25 60
