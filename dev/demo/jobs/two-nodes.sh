#!/bin/bash
#SBATCH --job-name=two-nodes --nodes=2 --ntasks-per-node=1 --mem=300M --time=2 --profile=all --output=two-nodes-%j.out
# A profile of CPU, memory, network and energy on both nodes.
srun python3 "$DEMO_JOBS/burn.py" 15 120 0.4
