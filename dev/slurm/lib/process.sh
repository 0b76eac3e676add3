# shellcheck shell=bash
# Processes of one cluster: started with a mark in their environment, found again by it.
# Pid files alone are not trusted: a killed `up` leaves none, a recycled pid lies.

daemon_names='munged|mariadbd|slurmdbd|slurmctld|slurmd|slurmstepd'

# local_host: the name under which Slurm's daemons run here: the machine's own where it is an address of loopback, else
# localhost. With NoInAddrAny they listen on the address of their name, which on a bare machine or in a container is
# none, or one that others reach.
local_host() {
  local name; name=$(hostname -s)
  case $(getent ahostsv4 "$name") in 127.*) echo "$name" ;; *) echo localhost ;; esac
}

# named COMMAND...: in place of this shell, under that name, which only the daemons see.
named() {
  local host; host=$(local_host)
  [ "$host" = localhost ] || exec "$@"
  # shellcheck disable=SC2016
  exec unshare --uts sh -c 'hostname localhost && exec "$@"' sh "$@"
}

# launch COMMAND...: in a session of its own, holding none of the caller's files, marked as ours.
launch() { (exec 9>&-; export ERGON_SLURM_OWNER=$P; named setsid -w "$@" </dev/null); }

# The same for a command that does not go to the background by itself. $! is its pid.
launch_background() { (exec 9>&-; export ERGON_SLURM_OWNER=$P; named setsid "$@" </dev/null) & }

marked_pids() {
  grep -lzxF "ERGON_SLURM_OWNER=$P" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true
}

# slurmstepd writes its title over its environment, so the daemons are also known by their open files.
daemon_pids() {
  local dir name
  for dir in /proc/[0-9]*; do
    read -r name 2>/dev/null <"$dir/comm" || continue
    [[ $name =~ ^($daemon_names)$ ]] || continue
    if find "$dir/cwd" "$dir/fd" -maxdepth 1 -lname "$P/*" -print -quit 2>/dev/null | grep -q .; then
      echo "${dir#/proc/}"
    fi
  done
}

# What users' jobs started: in a cgroup of our nodes, or with our node's name in the environment.
job_pids() {
  local dir node
  for dir in /sys/fs/cgroup/*/slurm_"$CLUSTER"-n*; do
    [ -d "$dir" ] && find "$dir" -name cgroup.procs -exec cat {} + 2>/dev/null
  done
  for node in $(seq 1 "$NODES"); do
    grep -lzxF "SLURMD_NODENAME=$(node_name "$node")" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
  done
  true
}

owned_pids() { { marked_pids; daemon_pids; job_pids; } | grep -vx 0 | sort -un; }

# running NAME PIDFILE: true while the file names a live process of that name.
running() {
  local pid
  pid=$(cat "$2" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]
}

gone() { ! running "$@"; }

# stop NAME PIDFILE: TERM, then KILL after ten seconds.
stop() {
  if running "$@"; then
    kill -TERM "$(cat "$2")" 2>/dev/null || true
    wait_for 10 gone "$@" || { say "$1 did not stop in 10 s, killing it"; kill -KILL "$(cat "$2")" 2>/dev/null || true; }
  fi
  rm -f "$2"
}

nothing_owned() { [ -z "$(owned_pids)" ]; }

kill_owned_once() {
  # shellcheck disable=SC2046
  kill -KILL $(owned_pids) 2>/dev/null
  nothing_owned
}

# kill_owned: repeated, because a job may fork while it is being killed.
kill_owned() { wait_for 10 kill_owned_once || die "these processes survive SIGKILL: $(owned_pids | tr '\n' ' ')"; }
