# shellcheck shell=bash
# cgroup v1 directories of our nodes. Node names carry the cluster's name, so two clusters never share one.

cgroup_dirs() {
  local dir
  for dir in /sys/fs/cgroup/*/slurm_"$CLUSTER"-n*; do [ ! -d "$dir" ] || echo "$dir"; done
}

no_cgroup_dirs() { [ -z "$(cgroup_dirs)" ]; }

remove_cgroups_once() {
  local dir
  for dir in $(cgroup_dirs); do find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null; done
  no_cgroup_dirs
}

# A directory stays busy for a moment after its last process has gone.
remove_cgroups() { wait_for 5 remove_cgroups_once || die "these cgroups stay busy: $(cgroup_dirs | tr '\n' ' ')"; }
