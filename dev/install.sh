#!/usr/bin/env bash
# install.sh GROUP... installs what the named groups need on Debian or Ubuntu, and checks Go.
# Quiet and quick when everything is there. Groups: build lint slurm test demo bench.
# Services of the installed packages are neither started nor left enabled: the
# harness runs private copies of them.
set -euo pipefail
cd "$(dirname "$0")/.."

group_packages() {
  case $1 in
    build) echo ca-certificates git make gcc g++ libc6-dev ;;
    lint) echo shellcheck ;;
    slurm) echo slurm-wlm slurmdbd munge mariadb-server slurm-wlm-hdf5-plugin \
      python3-minimal procps util-linux iproute2 ;;
    test) echo "$(group_packages slurm)" "$(group_packages lint)" \
      postgresql hdf5-tools python3-h5py iproute2 attr jq systemd ;;   # systemd-socket-activate, systemd-analyze
    demo) echo "$(group_packages slurm)" curl jq ;;
    # The Perl bindings are for Slurm's own seff, which dev/bench/seff.sh takes from the source package.
    bench) echo "$(group_packages slurm)" postgresql python3-h5py jq perl libslurm-perl libslurmdb-perl ;;
    *) echo "install.sh: unknown group '$1' (build lint slurm test demo bench)" >&2; exit 2 ;;
  esac
}

missing_packages() {
  local installed
  # dpkg-query fails when any name is unknown to it; the names that it printed still count.
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qx "installed $package" <<<"$installed" || echo "$package"
  done
}

# While this file exists and exits 101, no postinst may start a service (Debian policy, invoke-rc.d).
forbid_service_starts() {
  [ -e /usr/sbin/policy-rc.d ] && return
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}

enabled_units() {
  [ -d /run/systemd/system ] || return 0
  systemctl list-unit-files --type=service,socket --state=enabled --no-legend | awk '{print $1}' | sort
}

# A postinst enables its units for the next boot even when it may not start them.
disable_new_services() {
  comm -13 <(echo "$1") <(enabled_units) | grep -E '^(munge|mariadb|mysql|slurm|postgresql)' |
    xargs -r systemctl disable --quiet || true
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    echo "install.sh: no apt-get here. Install by hand: $*" >&2; exit 1
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "install.sh: run as root, or install by hand: apt-get install $*" >&2; exit 1
  fi
  echo "install.sh: installing $*"
  forbid_service_starts
  export DEBIAN_FRONTEND=noninteractive
  local log before; log=$(mktemp); before=$(enabled_units)
  if ! { apt-get update -q && apt-get install -q -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    echo "install.sh: apt-get failed; the whole log is $log" >&2; exit 1
  fi
  rm -f "$log"
  disable_new_services "$before"
}

go_advice() {
  local arch; arch=$(dpkg --print-architecture 2>/dev/null || echo amd64)
  cat >&2 <<TEXT
install.sh: $1
Ergon is built with Go $2 or newer, which Debian 12 does not carry. As root:
  curl -fLO https://go.dev/dl/go$3.linux-$arch.tar.gz
  rm -rf /usr/local/go && tar -C /usr/local -xzf go$3.linux-$arch.tar.gz
  export PATH=/usr/local/go/bin:\$PATH      # and add this line to ~/.profile
TEXT
  exit 1
}

check_go() {
  local want have
  want=$(awk '$1 == "go" {print $2}' go.work); want=${want%.0}
  command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
  command -v go >/dev/null || go_advice "Go is not installed." "$want" "${want}.8"
  # Inside the tree, so that a Go that may download its own successor (GOTOOLCHAIN=auto) counts as such.
  have=$(go env GOVERSION 2>/dev/null) || go_advice "this Go is too old: $(GOTOOLCHAIN=local GOWORK=off go version)." "$want" "${want}.8"
  have=${have#go}; have=${have%% *}
  if [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" != "$want" ]; then
    go_advice "Go $have is too old." "$want" "${want}.8"
  fi
}

words=$(group_packages build)
for group in "$@"; do words+=" $(group_packages "$group")"; done
mapfile -t wanted < <(tr ' ' '\n' <<<"$words" | sort -u)
mapfile -t missing < <(missing_packages "${wanted[@]}")
[ "${#missing[@]}" = 0 ] || install_packages "${missing[@]}"
check_go
