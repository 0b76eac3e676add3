#!/usr/bin/env bash
# slurm_seff.sh DIR: prints the path of Slurm's own seff: $ERGON_BENCH_SEFF, else the one on PATH, else that of Debian's
# source package of the installed Slurm (no binary package carries it), fetched into DIR.
set -euo pipefail
dir=$1
if [ -n "${ERGON_BENCH_SEFF:-}" ]; then echo "$ERGON_BENCH_SEFF"; exit; fi
if command -v seff; then exit; fi
# shellcheck source=/dev/null
. /etc/os-release
version=$(dpkg-query -W -f '${source:Version}' slurm-client)
mkdir -p "$dir/lists/partial" "$dir/source"
for suite in "$VERSION_CODENAME" "$VERSION_CODENAME-updates"; do
  echo "deb-src http://deb.debian.org/debian $suite main"
done >"$dir/sources.list"
echo "deb-src http://deb.debian.org/debian-security $VERSION_CODENAME-security main" >>"$dir/sources.list"
# Lists of its own: the machine's package sources stay as they are.
options=(-q -o "Dir::State::lists=$dir/lists" -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=-
  -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= -o APT::Sandbox::User=root)
(cd "$dir/source" && apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only "slurm-wlm=$version") >"$dir/apt.log" 2>&1 ||
  { tail -n 5 "$dir/apt.log" >&2; echo "slurm_seff.sh: no source package; name Slurm's seff in ERGON_BENCH_SEFF" >&2; exit 1; }
tar -xf "$dir"/source/*.orig.tar.* -C "$dir" --wildcards --strip-components=3 '*/contribs/seff/seff'
chmod 755 "$dir/seff"
echo "$dir/seff"
