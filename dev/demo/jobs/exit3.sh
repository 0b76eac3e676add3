#!/bin/bash
#SBATCH --job-name=exits-3 --ntasks=1 --mem=100M --time=2 --output=exits-3-%j.out --error=exits-3-%j.err
echo "reading input.dat" >&2
echo "input.dat: no such file" >&2
sleep 2
exit 3
