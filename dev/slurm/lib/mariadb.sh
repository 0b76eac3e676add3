# shellcheck shell=bash
# MariaDB on a Unix socket only. Durability is off: a cluster that loses power is thrown away.

mariadb_options=(--user=root --innodb-log-file-size=16M --innodb-buffer-pool-size=128M
  --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --skip-log-bin)

mariadb_query() { mariadb --no-defaults -S "$MYSQL_UNIX_PORT" -u root -e "$1"; }

mariadb_install() {
  [ ! -e "$P/mysql/.complete" ] || return 0
  rm -rf "$P/mysql"; mkdir "$P/mysql"   # a half-made directory is of no use
  # --force: the name of a bare machine or container often resolves to nothing, and nothing here needs it to.
  launch mariadb-install-db --no-defaults --datadir="$P/mysql" --auth-root-authentication-method=normal --skip-test-db \
    --skip-name-resolve --force "${mariadb_options[@]}" >"$P/log/mariadb-install.log" 2>&1 ||
    die_log "$P/log/mariadb-install.log" "mariadb-install-db failed"
  touch "$P/mysql/.complete"
}

mariadb_up() {
  running mariadbd "$P/run/mariadb.pid" && return
  mariadb_install
  rm -f "$MYSQL_UNIX_PORT"
  launch_background mariadbd --no-defaults --datadir="$P/mysql" --socket="$MYSQL_UNIX_PORT" --pid-file="$P/run/mariadb.pid" \
    --skip-networking --log-error="$P/log/mariadb.log" --innodb-lock-wait-timeout=900 --max-allowed-packet=64M \
    --performance-schema=0 "${mariadb_options[@]}" >>"$P/log/mariadb.out" 2>&1
  wait_for 30 mariadb_query 'select 1' || die_log "$P/log/mariadb.log" "MariaDB answers not within 30 s"
  mariadb_query "create database if not exists slurm_acct_db;
    create user if not exists slurm@localhost identified by 'slurm';
    grant all on slurm_acct_db.* to slurm@localhost"
}

mariadb_down() { stop mariadbd "$P/run/mariadb.pid"; }
