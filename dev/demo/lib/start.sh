# shellcheck shell=bash
# shellcheck disable=SC2154  # root, demo and their like are set by the script that sources this
# Starts the parts of the demo, each only when it is not there.

# Readable by the demo's user wherever the tree lies, and whatever the caller's umask was when it was built.
programs_up() {
  install -m 755 -t "$bin" "$root"/bin/ergon "$root"/bin/ergon-sbatch "$root"/bin/ergon-agent "$root"/bin/ergon-server
  install -m 644 -t "$demo/jobs" "$root"/dev/demo/jobs/*
  write_as_user
}

# Whom down may remove: those who were not there before the first start.
note_new_users() {
  local name
  [ ! -e "$demo/run/users" ] || return 0
  for name in "$user" "$account"; do id "$name" >/dev/null 2>&1 || echo "$name"; done >"$demo/run/users"
}

cluster_up() {
  note_new_users
  ERGON_SLURM_CLUSTER=$cluster ERGON_SLURM_NODES=3 ERGON_SLURM_FAKE=1 ERGON_SLURM_USERS="$user:physics" \
    "$root/dev/slurm/up" "$demo/slurm" $((port + 2)) 9>&-
  export SLURM_CONF=$demo/slurm/etc/slurm.conf
  id "$account" >/dev/null 2>&1 || useradd --system --no-create-home -c 'Ergon test user' "$account"
  chown "$user:" "$demo/home"
  sinfo -o '%P %D nodes of %c CPUs and %m MB, %T'
}

# server COMMAND…: the server's program on the demo's data.
server() {
  ERGON_DATA_DIR=$demo/server ERGON_HTTP_LISTEN=127.0.0.1:$port ERGON_STORE_LISTEN=127.0.0.1:$((port + 1)) ERGON_LOG_LEVEL=warn \
    "$bin/ergon-server" "$@"
}

# The defaults give advice to jobs of ten minutes and more; the demo has seconds.
server_settings() {
  mkdir -p "$demo/etc/clusters"
  echo '{"thresholds": {"min_elapsed_seconds": 10, "too_short_seconds": 1, "memory_over_min_bytes": 104857600, "time_over_min_seconds": 600}}' \
    >"$demo/etc/clusters/$cluster.json"
}

server_up() {
  server_settings
  if ! alive server; then
    ERGON_INSIGHT_CLUSTER_DIR=$demo/etc/clusters ERGON_DATA_DIR=$demo/server ERGON_HTTP_LISTEN=127.0.0.1:$port ERGON_STORE_LISTEN=127.0.0.1:$((port + 1)) \
      background server "$bin/ergon-server" serve 9>&-
  fi
  until_true 30 "the server's readiness" curl -fsS "$api/readyz"
  echo "$api is ready"
}

agent_settings() {
  cat >"$demo/etc/agent.yaml" <<YAML
# The demo asks Slurm more often than a site would, so that you need not wait.
slurm:
  conf: $demo/slurm/etc/slurm.conf
  poll_interval: 1s
  squeue_per_minute: 60
  sacct_per_minute: 60
  scontrol_per_minute: 120
uploads:
  enabled: true
  settle: 1s
accounting:
  window_every: 2s
YAML
}

agent_flags=(--system --config "$demo/etc/agent.yaml" --state-dir "$demo/agent" --socket "$demo/run/agent/agent.sock" --run-as "$account")

agent_up() {
  agent_settings
  if [ ! -e "$demo/agent/enrolled" ]; then
    server admin cluster create "$cluster" >/dev/null 2>&1 || true   # a second start finds it there
    server admin enrol --cluster "$cluster" --kind system |
      "$bin/ergon-agent" enrol --server "$api" --name "$(hostname -s)" "${agent_flags[@]}"
    touch "$demo/agent/enrolled"
  fi
  alive agent || background agent "$bin/ergon-agent" run "${agent_flags[@]}" 9>&-
  until_true 30 "the agent" as_user ergon status   # a socket may be left of an agent that was killed
  as_user ergon status
}

link_up() {
  if ! as_user ergon whoami >/dev/null 2>&1; then
    [ -s "$demo/run/password" ] || (umask 077; head -c 18 /dev/urandom | base64 >"$demo/run/password")
    as_user ergon login --server "$api" --user "$user" --register --password-stdin <"$demo/run/password"
    as_user ergon link --yes
  fi
  as_user ergon whoami
}
