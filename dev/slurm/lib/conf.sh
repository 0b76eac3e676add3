# shellcheck shell=bash
# slurm.conf and its neighbours.

choose_tracking() {
  [ -z "$TRACK" ] || return 0
  TRACK=cgroup
  local controller probe
  for controller in freezer memory cpuset; do
    probe=/sys/fs/cgroup/$controller/ergonprobe$$
    if ! { mkdir "$probe" && rmdir "$probe"; } 2>/dev/null; then
      TRACK=linuxproc
      say "cgroup v1 controller '$controller' cannot be written under /sys/fs/cgroup: falling back to" \
        "proctrack/linuxproc (no extern step, memory kills are FAILED and never OUT_OF_MEMORY)"
      return
    fi
  done
}

tracking_conf() {
  if [ "$TRACK" = cgroup ]; then
    echo "ProctrackType=proctrack/cgroup"
    echo "TaskPlugin=task/cgroup"
    echo "JobAcctGatherType=jobacct_gather/$GATHER"
    echo "PrologFlags=Alloc,Contain"
  else
    echo "ProctrackType=proctrack/linuxproc"
    echo "TaskPlugin=task/none"
    echo "JobAcctGatherType=jobacct_gather/linux"
    echo "JobAcctGatherParams=OverMemoryKill"
  fi
}

series_conf() {
  if [ "$FAKE" = 1 ]; then
    echo "AccountingStorageTRES=gres/gpu,fs/lustre,ic/sysfs"
    echo "AcctGatherEnergyType=acct_gather_energy/rapl"
    echo "AcctGatherFilesystemType=acct_gather_filesystem/lustre"
    echo "AcctGatherInterconnectType=acct_gather_interconnect/sysfs"
  else
    echo "AccountingStorageTRES=gres/gpu"
  fi
}

slurm_conf() {
  local host nodes ports
  host=$(local_host)
  # shellcheck disable=SC2153
  nodes=$(node_name "[1-$NODES]"); ports="[$SLURMD_PORT-$((SLURMD_PORT + NODES - 1))]"
  [ "$NODES" != 1 ] || { nodes=$(node_name 1); ports=$SLURMD_PORT; }
  cat <<CONF
ClusterName=$CLUSTER
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$P/munge/sock
CredType=cred/munge
SlurmctldPort=$CTLD_PORT
SlurmdPort=$SLURMD_PORT
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPidFile=$P/run/slurmctld.pid
SlurmdPidFile=$P/run/slurmd-%n.pid
SlurmctldLogFile=$P/log/slurmctld.log
SlurmdLogFile=$P/log/slurmd-%n.log
SlurmctldDebug=info
SlurmdDebug=info
StateSaveLocation=$P/state
SlurmdSpoolDir=$P/spool/%n
# Lets this host claim more CPUs and memory than it has, once per node.
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
PropagateResourceLimits=NONE
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_min_interval=100000,default_queue_depth=200,nohold_on_prolog_fail
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
PriorityType=priority/basic
MaxArraySize=20001
MaxJobCount=50000
MinJobAge=$MINJOBAGE
KillWait=5
BatchStartTimeout=10
SlurmctldTimeout=30
SlurmdTimeout=30
MessageTimeout=10
InactiveLimit=0
JobRequeue=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$DBD_PORT
# The munge socket again: without it every client asks the system's munged and hangs for minutes.
AccountingStoragePass=$P/munge/sock
AccountingStorageEnforce=associations,limits
AccountingStoreFlags=job_comment,job_env,job_script
JobAcctGatherFrequency=task=1,energy=1,network=1,filesystem=1
AcctGatherNodeFreq=1
AcctGatherProfileType=acct_gather_profile/hdf5
$(tracking_conf)
$(series_conf)
GresTypes=gpu
${PRIVATEDATA:+PrivateData=$PRIVATEDATA}
$EXTRA
NodeName=$nodes NodeHostname=$host NodeAddr=127.0.0.1 Port=$ports CPUs=$CPUS RealMemory=$MEM Gres=gpu:a100:2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=1-00:00:00 DefaultTime=00:10:00 DefMemPerCPU=256 State=UP OverSubscribe=NO
PartitionName=long Nodes=ALL MaxTime=INFINITE DefMemPerCPU=256 State=UP
CONF
}

cgroup_conf() {
  cat <<CONF
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
ConstrainDevices=no
CONF
}

acct_gather_conf() {
  echo "ProfileHDF5Dir=$P/profile"
  echo "ProfileHDF5Default=None"
  [ "$FAKE" != 1 ] || echo "SysfsInterfaces=lo"
}

# gres wants character devices; these are /dev/null under another name.
gres_conf() {
  local i
  for i in 0 1; do [ -c "$P/dev/gpu$i" ] || mknod "$P/dev/gpu$i" c 1 3; done
  echo "AutoDetect=off"
  echo "Name=gpu Type=a100 File=$P/dev/gpu[0-1]"
}

# write_conf: conf_changed becomes 1 when a running daemon has read something else.
write_conf() {
  local name
  conf_changed=0
  for name in slurm slurmdbd cgroup acct_gather gres; do
    (umask 077 && "${name}_conf" >"$P/etc/$name.conf.new")
    [ "$name" = slurmdbd ] || chmod 644 "$P/etc/$name.conf.new"   # slurmdbd refuses a readable file
    if cmp -s "$P/etc/$name.conf.new" "$P/etc/$name.conf"; then
      rm "$P/etc/$name.conf.new"
    else
      mv "$P/etc/$name.conf.new" "$P/etc/$name.conf"; conf_changed=1
    fi
  done
}
