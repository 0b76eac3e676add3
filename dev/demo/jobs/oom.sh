#!/bin/bash
#SBATCH --job-name=too-big --ntasks=1 --mem=64M --time=2 --output=too-big-%j.out
# Needs 300 MB and asked for 64.
exec python3 "$DEMO_JOBS/burn.py" 20 300
