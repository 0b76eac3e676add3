# shellcheck shell=bash

slurmctld_up() {
  running slurmctld "$P/run/slurmctld.pid" && return
  rm -f "$P/run/slurmctld.pid"
  local forget=()
  [ "${ERGON_SLURM_NO_RESUME:-0}" = 0 ] || forget=(-c)
  launch slurmctld "${forget[@]}" >"$P/log/slurmctld.out" 2>&1 || die_log "$P/log/slurmctld.log" "slurmctld did not start"
  wait_for 30 timeout 5 scontrol ping || die_log "$P/log/slurmctld.log" "slurmctld answers not within 30 s on 127.0.0.1:$CTLD_PORT"
}

slurmctld_down() { stop slurmctld "$P/run/slurmctld.pid"; }
