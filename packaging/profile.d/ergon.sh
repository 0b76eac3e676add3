# Level 2: puts Ergon's sbatch in front of Slurm's, for login shells. Copy it to /etc/profile.d/ to switch it on.
# The wrapper submits with the real sbatch whatever happens to Ergon; ERGON_DISABLE=1, ~/.config/ergon/off and
# /etc/ergon/disabled make it do nothing else. Read by every sh: it sets PATH and leaves nothing behind.
# shellcheck shell=sh
if [ -x /usr/lib/ergon/wrapper/sbatch ] && [ ! -e /etc/ergon/disabled ]; then
  case ":$PATH:" in
    *:/usr/lib/ergon/wrapper:*) ;;
    *) PATH=/usr/lib/ergon/wrapper:$PATH ;;
  esac
fi
