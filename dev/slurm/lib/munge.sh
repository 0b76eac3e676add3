# shellcheck shell=bash
# munged with a key and a socket of its own.

munge_up() {
  running munged "$P/run/munged.pid" && return
  local key=$P/munge/key
  [ -s "$key" ] || (umask 077 && head -c 128 /dev/urandom >"$key")
  rm -f "$P"/munge/sock*
  launch /usr/sbin/munged --force --num-threads=4 --key-file="$key" --socket="$P/munge/sock" \
    --pid-file="$P/run/munged.pid" --log-file="$P/log/munged.log" --seed-file="$P/munge/seed" \
    >"$P/log/munged.out" 2>&1 || die_log "$P/log/munged.log" "munged did not start"
  wait_for 10 test -S "$P/munge/sock" || die_log "$P/log/munged.log" "munged opened no socket in 10 s"
}

munge_down() { stop munged "$P/run/munged.pid"; }
