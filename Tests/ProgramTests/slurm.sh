#!/usr/bin/env bash
# Holds launch/examples/lockstep.sbatch against a real Slurm, of two simulated hosts: a job that finishes, one that is
# preempted with a grace time, one that runs out of time, one that is cancelled, and an array of which one task is stopped.
# Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge (and what launch/simulate-cluster needs); takes
# about three minutes.
#
#   Tests/ProgramTests/slurm.sh .build/release        the folder of the programs to try
set -euo pipefail
shopt -s inherit_errexit

programs=$(realpath -- "${1:?name the folder of the programs to try}")
top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
files=$(mktemp -d)

cluster() { "$top/launch/simulate-cluster" --name "slurm-$$" "$@"; }
# A command on a host, with the settings in its home folder.
# shellcheck disable=SC2016  # the host expands them
slurm_on() { cluster run "$1" bash -c 'SLURM_CONF=$HOME/slurm.conf LOCKSTEP=./lockstep exec "$@"' bash "${@:2}"; }
slurm() { slurm_on head "$@"; }
fail() {
  echo "slurm.sh: $*" >&2
  exit 1
}

clean_up() {
  local status=$?
  if ((status != 0)); then cluster run node1 bash -c 'tail -n 20 lockstep-*.log' >&2 || true; fi
  cluster down
  rm -rf -- "$files"
}

# --- A Slurm of two nodes with a core each, and a queue whose jobs give way to those of another. ---

make_slurm() {
  local host
  cat >"$files/slurm.conf" <<'END'
ClusterName=simulated
SlurmctldHost=head
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A job that is queued again waits until its old credential is void: two minutes, without this. Meanwhile its
# configuration is changed here.
AuthInfo=cred_expire=15
StateSaveLocation=/tmp/slurmctld
SlurmdSpoolDir=/tmp/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/tmp/slurmctld.log
SlurmdLogFile=/tmp/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=node[1-2] CPUs=1 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime=30 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
END
  # As munged wants it: only its user may read the key, all may reach the socket.
  cat >"$files/start-munge" <<'END'
set -e
chmod 755 /run
install -d -o munge -m 755 /run/munge /tmp/munge
install -o munge -m 400 munge.key /tmp/munge/key
setpriv --reuid munge --regid munge --init-groups munged --key-file /tmp/munge/key --log-file /tmp/munge/log \
  --pid-file /run/munge/pid --seed-file /tmp/munge/seed
END
  head -c 128 /dev/urandom >"$files/munge.key"
  cluster copy "$programs"/lockstep{,d} "$top/configs/default.yaml" "$top/launch/examples/lockstep.sbatch" "$files"/*
  for host in head node1 node2; do cluster run "$host" bash start-munge; done
  slurm bash -c 'mkdir /tmp/slurmctld && slurmctld'
  for host in node1 node2; do slurm_on "$host" slurmd; done
  within 60 "both nodes idle" are_idle
}

are_idle() { [[ $(slurm sinfo --noheader --partition low --format %D%t) == 2idle ]]; }

# No folder is shared: the corpus is prepared on one node, and copied to the other.
prepare_corpus() {
  cluster run node1 ./lockstepd run default.yaml --set name=first --set training.maximumSteps=1 >/dev/null
  cluster run node1 scp -rq checkpoints node2:
}

# --- Jobs. ---

# Waits so many seconds for what is said to be so: for a command to succeed.
within() {
  local last=$((SECONDS + $1)) expected="$2 within $1 seconds"
  shift 2
  until "$@"; do
    ((SECONDS < last)) || fail "expected $expected"
    sleep 1
  done
}

# Writes the configuration of a run of this name on all hosts: the default one, with so many steps at most.
configure() {
  sed "s/^training:/&\n  maximumSteps: $2/" "$top/configs/default.yaml" >"$files/$1.yaml"
  cluster copy "$files/$1.yaml"
}

# Submits a run of this name with so many steps; 0 for a run that ends when it is told to. Sets `job`, and where its output is.
submit() {
  configure "$1" "$2"
  host=node1
  job=$(slurm sbatch --parsable --ntasks 2 "${options[@]}" lockstep.sbatch "$1.yaml" --set "name=$1" \
    --set training.epochs=100000 --progress plain)
  log=lockstep-$job.log
}

# Takes a task of the array for the job that is looked at.
look_at_task() {
  local number
  job=${array}_$1
  read -r number host <<<"$(slurm squeue --noheader --jobs "$job" --format '%A %N')"
  log=lockstep-$number.log
}

# Waits until the run of this name was stopped within so many seconds, has it end twenty steps later, and waits until the
# job is queued again, which reads the configuration some seconds after its stop, and has finished.
goes_on_and_ends() {
  local name=$1 seconds=$2 step
  within "$seconds" "job $job with a checkpoint, and stopped" log_has '^stopped (signal'
  step=$(cluster run "$host" sed -n 's/^stopped (signal.* after step \([0-9]*\).*/\1/p' "$log")
  configure "$name" $((step + 20))
  within 90 "job $job queued again" was_restarted
  within 300 "job $job completed" is_in_state COMPLETED
  log_has ' resumes at step ' || fail "job $job: expected it to go on from its checkpoint"
  log_has "^finished (maximum-steps).* $((step + 20)) steps" || fail "job $job: expected $((step + 20)) steps"
}

state() { slurm scontrol show job "$job" | sed -n 's/.*JobState=\([A-Z]*\).*/\1/p'; }
restarts() { slurm scontrol show job "$job" | sed -n 's/.*Restarts=\([0-9]*\).*/\1/p'; }
log_has() { cluster run "$host" grep -qs -- "$1" "$log"; }
# Not any "step": the launcher calls itself lockstep.
has_made_steps() { log_has 'step  *[0-9]*/[0-9]'; }
is_in_state() { [[ $(state) == "$1" ]]; }
was_restarted() { (($(restarts) > 0)); }
has_left() { [[ ! $(slurm squeue --noheader --jobs "$job" 2>/dev/null) ]]; }

for command in slurmctld slurmd sbatch munged; do
  command -v "$command" >/dev/null ||
    fail "there is no $command here; on Debian: apt-get install slurmctld slurmd slurm-client munge"
done
trap clean_up EXIT
trap 'exit 130' INT TERM
cluster up 2 --cores 1 >/dev/null
make_slurm
prepare_corpus

options=(--time 10)
submit finishes 20
within 180 "job $job completed" is_in_state COMPLETED
log_has 'ranks    2' || fail "job $job: expected two ranks in its log"
echo "finished: job $job, status 0"

submit preempted 0
within 180 "job $job trains" has_made_steps
slurm sbatch --partition high --ntasks 2 --time 1 --wrap 'srun sleep 2' >/dev/null
goes_on_and_ends preempted 90
echo "preempted: job $job saved, was queued again, went on and finished"

options=(--time 2 --signal B:USR1@75)
submit limited 0
goes_on_and_ends limited 180
echo "out of time: job $job saved, was queued again, went on and finished"

options=(--time 10)
submit cancelled 0
within 180 "job $job trains" has_made_steps
slurm scancel "$job"
within 90 "job $job cancelled" is_in_state CANCELLED
within 90 "job $job gone" has_left
log_has '^stopped (signal' || fail "job $job: expected a checkpoint"
(($(restarts) == 0)) || fail "job $job: expected it not to be queued again"
echo "cancelled: job $job saved, and was not queued again"

configure array 0
# The task that is started last has the number of the whole array in SLURM_JOB_ID.
array=$(slurm sbatch --parsable --array 1-2 --ntasks 1 --time 10 lockstep.sbatch array.yaml --set name=array-%a \
  --set training.epochs=100000 --progress plain)
for task in 1 2; do
  job=${array}_$task
  within 180 "job $job running" is_in_state RUNNING
  look_at_task "$task"
  within 180 "job $job trains" has_made_steps
done
slurm scancel --batch --signal USR1 "$job"
goes_on_and_ends array 90
look_at_task 1
is_in_state RUNNING || fail "job $job: expected it to train on beside another task of its array"
(($(restarts) == 0)) || fail "job $job: expected it not to be queued again with another task of its array"
slurm scancel "$array"
within 90 "job $job gone" has_left
echo "array: job ${array}_2 saved, was queued again, went on and finished, and job $job trained on"
