# shellcheck shell=bash
# shellcheck disable=SC2154  # root, demo and their like are set by the script that sources this
# Submits the jobs of the demo, waits for them, shows what Ergon says.

declare -A job=()

# submit NAME OPTIONS…: through the wrapper, which hands sbatch's answer through.
submit() {
  local name=$1 id; shift
  id=$(as_user ergon sbatch --parsable "$@" "$demo/jobs/$name.sh")
  job[$name]=${id%%;*}
  printf '  %-10s job %s\n' "$name" "${job[$name]}"
}

# Four busy processes at once would share the two CPUs of a small machine and all look idle: two jobs begin later.
submit_all() {
  local name
  for name in well exit3 oom array; do submit "$name"; done
  for name in wasteful two-nodes; do submit "$name" --begin=now+15; done
}

# settled ID: every task of the job has ended, its outputs are verified and its report is there.
settled() {
  as_user ergon jobs --since 1d --json | jq -es --arg id "$1" '
    [.[] | select(.job_id == $id or (.job_id | startswith($id + "_")))] | length > 0 and
    all((.state == "DONE" or .state == "FAILED") and .upload_phase == "verified" and .cpu_efficiency != null)'
}

wait_all() {
  local name
  for name in exit3 oom array well wasteful two-nodes; do
    until_true 120 "the report of job ${job[$name]} ($name)" settled "${job[$name]}"
    echo "  $name is complete"
  done
}

show_all() {
  local name
  for name in well wasteful two-nodes array exit3 oom; do
    printf '\n$ ergon job %s\n' "${job[$name]}"
    as_user ergon job "${job[$name]}"
  done
  printf '\n$ ergon files ls\n'
  as_user ergon files ls
  printf '\n$ ergon\n'
  as_user ergon
}

next_steps() {
  cat <<TEXT

The demo runs on. Try it, as root, who becomes $user:
  $as_user ergon jobs
  … ergon seff ${job[well]}                      the same report with no server, from sacct alone
  … ergon explain -o json FILE           any dump of sacct, or an .h5 profile
  … ergon files get --job ${job[array]} results/    what the array wrote
  … bash -i                              all of it without the prefix
  curl $api/readyz                       the API
  make demo                                  once more: new jobs, everything else is up
  make demo-down                             and all of it is gone
TEXT
}
