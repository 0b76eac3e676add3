# shellcheck shell=bash
# slurmdbd on loopback, and the accounts that jobs are charged to.

slurmdbd_conf() {
  cat <<CONF
AuthType=auth/munge
AuthInfo=socket=$P/munge/sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$DBD_PORT
SlurmUser=root
PidFile=$P/run/slurmdbd.pid
LogFile=$P/log/slurmdbd.log
DebugLevel=info
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
# Not in the manual of 22.05; without it slurmdbd listens on 0.0.0.0.
CommunicationParameters=NoInAddrAny
${PRIVATEDATA:+PrivateData=$(known_private_data accounts events jobs reservations usage users)}
CONF
}

# known_private_data WORD...: those parts of PRIVATEDATA that this daemon's file accepts.
known_private_data() {
  local word
  for word in "$@"; do [[ ,$PRIVATEDATA, == *,$word,* ]] && echo "$word"; done | paste -sd,
}

slurmdbd_answers() { timeout 5 sacctmgr -n -P show cluster format=cluster; }

slurmdbd_up() {
  running slurmdbd "$P/run/slurmdbd.pid" && return
  rm -f "$P/run/slurmdbd.pid"
  launch slurmdbd >"$P/log/slurmdbd.out" 2>&1 || die_log "$P/log/slurmdbd.log" "slurmdbd did not start"
  wait_for 30 slurmdbd_answers || die_log "$P/log/slurmdbd.log" "slurmdbd answers not within 30 s on 127.0.0.1:$DBD_PORT"
}

slurmdbd_down() { stop slurmdbd "$P/run/slurmdbd.pid"; }

# accounts_up: cluster, accounts and associations, once per set of users.
accounts_up() {
  [ "$(cat "$P/state/.accounts" 2>/dev/null)" != "$USERS" ] || return 0
  local pair account log=$P/log/sacctmgr.out
  {
    sacctmgr -i -Q add cluster "$CLUSTER"
    for account in $(tr ' ' '\n' <<<"physics chemistry $USERS" | sed 's/.*://' | sort -u); do
      sacctmgr -i -Q add account "$account" Cluster="$CLUSTER"
    done
    for pair in $USERS root:root; do
      sacctmgr -i -Q add user "${pair%%:*}" Account="${pair##*:}" DefaultAccount="${pair##*:}" Cluster="$CLUSTER"
    done
  } >"$log" 2>&1 || true   # sacctmgr also fails when the row is already there: the result is what counts
  for pair in $USERS; do
    sacctmgr -n -P show assoc cluster="$CLUSTER" format=user,account | grep -qx "${pair%%:*}|${pair##*:}" ||
      die_log "$log" "no association for $pair"
  done
  echo "$USERS" >"$P/state/.accounts"
}
