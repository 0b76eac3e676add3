# shellcheck shell=bash
# One slurmd per virtual node, all on this host (Debian's slurmd honours -N).

slurmd_pidfile() { echo "$P/run/slurmd-$(node_name "$1").pid"; }

# in_fake_namespace COMMAND...: where /dev/cpu and /proc/fs are the feeder's files, for this process tree only.
in_fake_namespace() {
  # shellcheck disable=SC2016
  launch unshare -m --propagation private bash -c \
    'mount --bind "$0/cpu" /dev/cpu && mount --bind "$0/fs" /proc/fs && exec "$@"' "$P/fake" "$@"
}

slurmd_start() {
  local node runner=launch
  node=$(node_name "$1")
  mkdir -p "$P/spool/$node"
  [ "$FAKE" != 1 ] || runner=in_fake_namespace
  "$runner" slurmd -N "$node" >"$P/log/slurmd-$node.out" 2>&1 || die_log "$P/log/slurmd-$node.log" "slurmd $node did not start"
}

all_nodes_usable() {
  [ "$(timeout 5 sinfo -h -N -p debug -t idle,mix,alloc -o %N | sort -u | wc -l)" = "$NODES" ]
}

slurmd_up() {
  local i
  for i in $(seq 1 "$NODES"); do
    running slurmd "$(slurmd_pidfile "$i")" || slurmd_start "$i"
  done
  wait_for 30 all_nodes_usable && return
  timeout 5 sinfo -R >&2 || true
  die_log "$P/log/slurmd-$(node_name 1).log" "not all of the $NODES nodes are usable after 30 s"
}

# slurmd_down: TERM to all first, they take seconds each.
slurmd_down() {
  local file
  for file in "$P"/run/slurmd-*.pid; do
    ! running slurmd "$file" || kill -TERM "$(cat "$file")" 2>/dev/null || true
  done
  for file in "$P"/run/slurmd-*.pid; do
    [ ! -e "$file" ] || stop slurmd "$file"
  done
}
