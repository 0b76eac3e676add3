# shellcheck shell=bash
# Unix users that submit jobs. They are shared by all private clusters of this host.

user_note='Ergon test user'   # the comment by which `users remove` knows those that we made

users_up() {
  local pair user
  for pair in $USERS; do
    user=${pair%%:*}
    id "$user" >/dev/null 2>&1 && continue
    # shellcheck disable=SC2016
    # Clusters may come up at the same time; useradd does not wait for its own lock.
    flock /run/lock bash -c 'id "$0" >/dev/null 2>&1 || useradd -m -s /bin/bash -c "$1" "$0"' "$user" "$user_note" ||
      die "cannot create user $user"
    say "created user $user"
  done
}

# running_prefixes: the private clusters of this machine that have a process.
running_prefixes() {
  { grep -haozE '^ERGON_SLURM_OWNER=.*' /proc/[0-9]*/environ 2>/dev/null || true; } | tr '\0' '\n' | cut -d= -f2- | sort -u
}

# cluster_of USER: the running private cluster that the user may submit to, if any.
cluster_of() {
  local prefix
  running_prefixes | while read -r prefix; do
    # shellcheck disable=SC1091
    (USERS=; . "$prefix/etc/settings" 2>/dev/null; [[ " $USERS" != *" $1:"* ]] || echo "$prefix") || true
  done | sed -n 1p
}

users_remove() {
  local user prefix
  getent passwd | awk -F: -v note="$user_note" '$5 == note {print $1}' | while read -r user; do
    [ $# = 0 ] || [[ " $* " == *" $user "* ]] || continue
    prefix=$(cluster_of "$user")
    [ -z "$prefix" ] || { say "user $user stays: the cluster $prefix is running"; continue; }
    if flock /run/lock userdel -r "$user" 2>/dev/null; then say "removed user $user"; else say "user $user stays: a process of theirs is running"; fi
  done
}
