# shellcheck shell=bash
# Settings of one private cluster. Everything else reads the variables that load_settings sets.
# A later call for the same prefix finds the first call's settings again; the environment wins over them.
#
#   ERGON_SLURM_CLUSTER      cluster name, and the first part of node and cgroup names
#                            (default: the last part of the prefix, letters and digits)
#   ERGON_SLURM_NODES        virtual nodes on this host (2)
#   ERGON_SLURM_CPUS         CPUs that each node claims (4)
#   ERGON_SLURM_MEM          MB that each node claims (4096)
#   ERGON_SLURM_TRACK        cgroup | linuxproc (cgroup where cgroup v1 can be written)
#   ERGON_SLURM_GATHER       linux | cgroup: jobacct_gather with TRACK=cgroup (linux)
#   ERGON_SLURM_FAKE         1: energy (100 W + 20 W), Lustre and network series through the real plugins (0)
#   ERGON_SLURM_MINJOBAGE    seconds that slurmctld remembers a finished job (300)
#   ERGON_SLURM_PRIVATEDATA  PrivateData of slurm.conf and slurmdbd.conf, e.g. jobs,usage,users (none)
#   ERGON_SLURM_USERS        user:account words ("alice:physics bob:chemistry carol:physics")
#   ERGON_SLURM_EXTRA        further lines of slurm.conf, e.g. JobCompType or hooks
#   ERGON_SLURM_NO_RESUME    1: slurmctld forgets its saved jobs at this start (0; not remembered)

default_users='alice:physics bob:chemistry carol:physics'
setting_names=(CLUSTER NODES CPUS MEM TRACK GATHER FAKE MINJOBAGE PRIVATEDATA USERS EXTRA PORT)

# use_prefix DIR: absolute, not a system directory, without characters that Slurm's files cannot quote.
use_prefix() {
  P=$(realpath -ms -- "$1")
  [[ $P =~ ^/[A-Za-z0-9._/-]+/[A-Za-z0-9._-]+$ ]] || die "prefix '$1': use a path like /dev/shm/NAME of letters, digits, . _ -"
  # The longest socket below the prefix has to fit sun_path (108 bytes, unix(7)).
  [ "${#P}" -le 60 ] || die "prefix '$P' is longer than 60 characters; Unix sockets would not fit below it"
}

default_cluster() {
  local name; name=$(basename "$P" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9')
  [[ $name =~ ^[a-z] ]] || name=c$name
  echo "${name:0:24}"
}

# load_settings: needs use_prefix. PORT stays empty when neither saved nor given.
load_settings() {
  local name given
  CLUSTER=$(default_cluster) NODES=2 CPUS=4 MEM=4096 TRACK='' GATHER=linux FAKE=0 MINJOBAGE=300
  PRIVATEDATA='' USERS=$default_users EXTRA='JobCompType=jobcomp/none' PORT=''
  # shellcheck disable=SC1091
  [ ! -r "$P/etc/settings" ] || . "$P/etc/settings"
  for name in "${setting_names[@]}"; do
    given=ERGON_SLURM_$name
    [ -z "${!given+set}" ] || printf -v "$name" %s "${!given}"
  done
  export SLURM_CONF=$P/etc/slurm.conf MYSQL_UNIX_PORT=$P/run/mysql.sock
  DBD_PORT=$((PORT + 1)) CTLD_PORT=$((PORT + 2)) SLURMD_PORT=$((PORT + 10))
}

save_settings() {
  local name
  for name in "${setting_names[@]}"; do printf '%s=%q\n' "$name" "${!name}"; done >"$P/etc/settings.new"
  mv "$P/etc/settings.new" "$P/etc/settings"
}

check_settings() {
  [[ $CLUSTER =~ ^[a-z][a-z0-9]{0,23}$ ]] || die "ERGON_SLURM_CLUSTER='$CLUSTER': a-z first, then a-z 0-9, at most 24"
  [[ $NODES =~ ^[1-9][0-9]?$ ]] || die "ERGON_SLURM_NODES='$NODES': 1 to 99"
  [[ $PORT =~ ^[1-9][0-9]{3,4}$ ]] || die "port base '$PORT': a number from 1024 on"
  ((PORT > 1023 && PORT + 10 + NODES < 65536)) || die "port base '$PORT': 1024 to $((65525 - NODES))"
  [[ $TRACK =~ ^(|cgroup|linuxproc)$ ]] || die "ERGON_SLURM_TRACK='$TRACK': cgroup or linuxproc"
}

node_name() { echo "$CLUSTER-n$1"; }
