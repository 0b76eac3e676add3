# shellcheck shell=bash
# Loads all parts; `here` is the directory dev/slurm.

for part in say settings process cgroup user munge mariadb conf slurmdbd feeder slurmctld slurmd; do
  # shellcheck disable=SC1090
  . "$here/lib/$part.sh"
done
