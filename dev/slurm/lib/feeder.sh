# shellcheck shell=bash
# Counters of a machine with RAPL and Lustre, for hosts that have neither. See feeder.py.

feeder_up() {
  [ "$FAKE" = 1 ] || return 0
  running python3 "$P/run/feeder.pid" && return
  cpu_up
  mkdir -p "$P/fake/cpu" "$P/fake/fs"
  launch_background /usr/bin/python3 -B "$here/lib/feeder.py" "$P/fake" >"$P/log/feeder.out" 2>&1
  echo $! >"$P/run/feeder.pid"
  wait_for 10 test -s "$P/fake/fs/lustre/llite/scratch-ffff8800/stats" || die_log "$P/log/feeder.out" "the feeder wrote no counters in 10 s"
}

feeder_down() { stop python3 "$P/run/feeder.pid"; }

# /dev/cpu is one for all clusters of the machine, and bare machines have none. Where the first cluster made it, those that
# need it stand in this directory, and the last of them removes it: rmdir takes a mount point from under its mounts.
cpu_users=/run/ergon-dev-cpu

# shellcheck disable=SC2016  # the inner shell expands them
cpu_locked() { flock /run/lock bash -c '. "$0/lib/say.sh"; . "$0/lib/feeder.sh"; P=$1; "$2"' "$here" "$P" "$1"; }

cpu_up() { cpu_locked cpu_take; }

cpu_take() {
  [ -d /dev/cpu ] || { say "/dev/cpu is missing: making it as a mount point"; mkdir -p /dev/cpu "$cpu_users"; }
  [ ! -d "$cpu_users" ] || touch "$cpu_users/${P//\//%}"
}

cpu_down() { [ ! -d "$cpu_users" ] || cpu_locked cpu_leave; }

cpu_leave() {
  local name
  rm -f "$cpu_users/${P//\//%}"
  for name in "$cpu_users"/*; do   # a cluster whose prefix somebody removed by hand needs nothing
    name=${name##*/}
    [ -d "${name//%//}" ] || rm -f "$cpu_users/$name"
  done
  rmdir "$cpu_users" 2>/dev/null || return 0
  rmdir /dev/cpu || say "/dev/cpu stays: it is no longer empty"
}

cpu_left() { find "$cpu_users/${P//\//%}" 2>/dev/null || true; }
