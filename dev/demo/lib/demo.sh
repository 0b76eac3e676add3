# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # root, demo and their like are set by the script that sources this
# What up and down share: where the demo lives, and how its processes are started and ended by pid.
#   ERGON_DEMO_DIR   everything of the demo (/var/tmp/ergon-demo)
#   ERGON_DEMO_PORT  first of 40 ports on loopback (27300): API, object store, then Slurm's
#   ERGON_DEMO_CLUSTER, ERGON_DEMO_USER, ERGON_DEMO_ACCOUNT  the cluster (demo), who submits (alice) and whom the agent
#                    runs as (ergon): two demos of one machine need different clusters

demo=${ERGON_DEMO_DIR:-/var/tmp/ergon-demo}
port=${ERGON_DEMO_PORT:-27300}
api=http://127.0.0.1:$port
cluster=${ERGON_DEMO_CLUSTER:-demo}
bin=$demo/bin   # copies: the tree may lie below a directory that only its owner enters
user=${ERGON_DEMO_USER:-alice}
account=${ERGON_DEMO_ACCOUNT:-ergon}
as_user=$bin/as-$user
unset "${!ERGON_@}"   # the caller's own settings are not the demo's, and the server takes a name that it does not know for a slip of the pen

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

# alive NAME: the process of run/NAME.pid is there and is ours.
alive() {
  local pid
  pid=$(cat "$demo/run/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && grep -qz -- "ergon-$1" "/proc/$pid/cmdline" 2>/dev/null
}

# background NAME COMMAND…: starts it outside our session, so that it outlives this shell, and remembers its pid.
background() {
  local name=$1; shift
  setsid nohup "$@" >>"$demo/log/$name.log" 2>&1 </dev/null &
  echo $! >"$demo/run/$name.pid"
}

# stop NAME: TERM, and after 25 seconds KILL.
stop() {
  local pid; pid=$(cat "$demo/run/$1.pid" 2>/dev/null) || return 0
  if alive "$1"; then
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 250); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
    [ ! -d "/proc/$pid" ] || kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -f "$demo/run/$1.pid"
}

# until_true SECONDS WHAT COMMAND…: waits for the command, and ends the demo with the logs' ends when it does not come true.
until_true() {
  local left=$(($1 * 5)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      tail -n 15 "$demo"/log/*.log >&2
      die "$what did not happen; the ends of the logs in $demo/log are above"
    fi
    sleep 0.2
  done
}

# write_as_user: the program that is a login of the demo's user, in their own directory. Visitors use it too.
write_as_user() {
  cat >"$as_user.new" <<SH
#!/bin/bash
# as-$user COMMAND…: as a login of $user, who is linked to the demo in $demo. Run it as root.
cd "$demo/home" && exec setpriv --reuid "$user" --regid "$user" --init-groups --reset-env \\
  env HOME="$demo/home" USER="$user" PATH="$bin:$PATH" SLURM_CONF="$demo/slurm/etc/slurm.conf" DEMO_JOBS="$demo/jobs" \\
  ERGON_SERVER="$api" ERGON_SITE_CONFIG="$demo/etc/agent.yaml" ERGON_AGENT_SOCKET="$demo/run/agent/agent.sock" "\$@"
SH
  chmod 755 "$as_user.new"
  mv "$as_user.new" "$as_user"
}

as_user() { "$as_user" "$@"; }
