#!/usr/bin/env bash
# A whole Slurm cluster on one machine, for the tests of the launchers.
#
# usage: cluster.sh start [ROOT]              start what does not run; end when every node is up
#        cluster.sh stop [ROOT]               cancel all jobs, stop the daemons
#        cluster.sh env [ROOT]                print the line that points Slurm's commands at it
#        cluster.sh stop-controller [ROOT]    stop slurmctld alone: jobs run on, commands fail
#        cluster.sh start-controller [ROOT]   start it again: it finds its queue as it was
#
# ROOT holds configuration, state and logs (default: runs/slurm in this repository).
# `start` and `env` print one line on standard output: eval "$(tests/slurm/cluster.sh start)"
#
# Environment:
#   ACCOUNTING=1   also MariaDB and slurmdbd, so that sacct works; without, sacct fails as it
#                  does on clusters that keep no accounts
#   PORTS=26800    the first of the about twenty ports used, all on 127.0.0.1; clusters of
#                  different ROOTs can run at once if their ports differ
#
# Four virtual nodes of 16 CPUs and 12 pretended GPUs each; partition `main` is the default,
# and jobs in `urgent` preempt (requeue) those in `main`. Works as root on Debian, also in a
# container without systemd. Missing Debian packages are installed.
set -euo pipefail

NODES=4
CPUS=16
GPUS=12
MEMORY=64000 # MB that each node claims to have; nothing checks

say() { printf 'cluster: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

# --- daemons and their pid files -----------------------------------------------------------

# The pid of a daemon (named as its pid file) if it runs. A pid can have been given to another
# program since, so the name and the configuration it was started with must be right too.
pid_of() { # NAME
    local pid
    pid=$(cat "$ROOT/pid/$1" 2>/dev/null) && [ -n "$pid" ] || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${1%%-*}" ] || return 1
    ours "$pid" || return 1
    echo "$pid"
}

ours() { # PID: was this process started with our configuration?
    grep -qzxF "SLURM_CONF=$SLURM_CONF" "/proc/$1/environ" 2>/dev/null
}

runs() { pid_of "$1" >/dev/null; }

any_runs() {
    local file
    for file in "$ROOT"/pid/*; do
        if runs "${file##*/}"; then return 0; fi
    done
    return 1
}

# Wait until a command succeeds.
within() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt "$end" ] || return 1
        sleep 0.1
    done
}

stopped() { ! runs "$1"; }

stop_daemons() { # NAME...
    local name pid
    # All are told first, then waited for: each takes a second or two.
    for name; do
        if pid=$(pid_of "$name"); then
            say "stopping $name"
            kill "$pid" || true
        fi
    done
    for name; do
        within 20 stopped "$name" || kill -9 "$(pid_of "$name")" || true
        rm -f "$ROOT/pid/$name"
    done
}

# --- packages and configuration ------------------------------------------------------------

install_packages() {
    local wanted=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge) missing=() package
    [ "$ACCOUNTING" = 0 ] || wanted+=(slurmdbd slurm-wlm-mysql-plugin mariadb-server)
    for package in "${wanted[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    apt-get update -qq || die "apt-get update failed"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >"$ROOT/log/apt.log" 2>&1 || die "apt-get failed: see $ROOT/log/apt.log"
}

print_config() {
    local node
    cat <<END
ClusterName=testcluster
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORTS
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits until its old credential has expired, by default 120 s.
AuthInfo=socket=$ROOT/munge.socket,cred_expire=10
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool/%n
SlurmctldPidFile=$ROOT/pid/slurmctld
SlurmdPidFile=$ROOT/pid/slurmd-%n
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd-%n.log

# A container has no cgroups to give away: processes are followed by their parents, and
# memory is counted when jobs are placed, not enforced while they run.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
# Nodes have what this file says, whatever the machine has.
SlurmdParameters=config_overrides
# A node that was down is used again as soon as its slurmd reports.
ReturnToService=2
SlurmctldTimeout=60
SlurmdTimeout=60

SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
# Look for work every two seconds and at every event: tests wait for it.
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0,default_queue_depth=1000,bf_max_job_test=1000,max_array_tasks=10001
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE

JobRequeue=1
MaxArraySize=10001
MaxJobCount=50000
# Ended jobs stay in "squeue --states=all" this long.
MinJobAge=120
# From SIGTERM to SIGKILL.
KillWait=5
OverTimeLimit=0
END
    if [ "$ACCOUNTING" = 0 ]; then
        echo "AccountingStorageType=accounting_storage/none"
    else
        cat <<END
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$DBD_PORT
AccountingStoragePass=$ROOT/munge.socket
AccountingStorageTRES=gres/gpu
END
    fi
    for ((node = 1; node <= NODES; node++)); do
        echo "NodeName=n$node NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((PORTS + 10 + node))" \
            "CPUs=$CPUS Boards=1 SocketsPerBoard=1 CoresPerSocket=$CPUS ThreadsPerCore=1" \
            "RealMemory=$MEMORY Gres=gpu:pretended:$GPUS State=UNKNOWN"
    done
    cat <<END
PartitionName=DEFAULT Nodes=n[1-$NODES] MaxTime=7-00:00:00 DefaultTime=01:00:00 DefMemPerCPU=500 State=UP
PartitionName=main Default=YES PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent PriorityTier=10 PreemptMode=OFF
END
}

configure() {
    local new gpu
    new=$(print_config)
    if [ -e "$SLURM_CONF" ] && [ "$new" != "$(cat "$SLURM_CONF")" ] && any_runs; then
        say "settings have changed: restarting"
        stop
    fi
    printf '%s\n' "$new" >"$SLURM_CONF"
    # Jobs get CUDA_VISIBLE_DEVICES only if each GPU has a device file: any device will do.
    for ((gpu = 0; gpu < GPUS; gpu++)); do ln -sfn /dev/null "$ROOT/dev/gpu$gpu"; done
    printf 'AutoDetect=off\nName=gpu Type=pretended File=%s/dev/gpu[0-%d]\n' \
        "$ROOT" $((GPUS - 1)) >"$ROOT/etc/gres.conf"
    [ -s "$ROOT/etc/munge.key" ] || head -c 1024 /dev/urandom >"$ROOT/etc/munge.key"
    chmod 600 "$ROOT/etc/munge.key"
}

# --- starting ------------------------------------------------------------------------------

check_port() {
    local port
    port=$(sed -n 's/^SlurmctldPort=//p' "$SLURM_CONF")
    if ! runs slurmctld && (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null; then
        die "port $port is in use, perhaps by the cluster of another ROOT: stop it or set PORTS"
    fi
}

start_munged() {
    if runs munged; then return; fi
    rm -f "$ROOT"/munge.socket*
    # --force: it would refuse a folder that others may write, such as those below /tmp.
    munged --force --key-file="$ROOT/etc/munge.key" --socket="$ROOT/munge.socket" \
        --pid-file="$ROOT/pid/munged" --log-file="$ROOT/log/munged.log" \
        --seed-file="$ROOT/munge.seed" 2>/dev/null
    within 10 munge -n -S "$ROOT/munge.socket" || die "munged fails: see $ROOT/log/munged.log"
    say "munged runs"
}

sql() { mariadb --no-defaults -uroot --socket="$ROOT/sql.socket" "$@"; }

start_accounting() {
    if ! runs mariadbd; then
        if [ ! -d "$ROOT/db/mysql" ]; then
            mariadb-install-db --no-defaults --user=root --datadir="$ROOT/db" --skip-test-db \
                --auth-root-authentication-method=normal >"$ROOT/log/mariadb-install.log" 2>&1
        fi
        setsid mariadbd --no-defaults --user=root --datadir="$ROOT/db" --skip-name-resolve \
            --socket="$ROOT/sql.socket" --pid-file="$ROOT/pid/mariadbd" \
            --bind-address=127.0.0.1 --port=$((PORTS + 2)) --innodb-buffer-pool-size=64M \
            --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=2 \
            </dev/null >"$ROOT/log/mariadbd.log" 2>&1 &
        within 60 sql -e "select 1" || die "MariaDB fails: see $ROOT/log/mariadbd.log"
        sql -e "create database if not exists slurm_acct_db;
                create user if not exists 'slurm'@'127.0.0.1' identified by 'slurm';
                grant all on slurm_acct_db.* to 'slurm'@'127.0.0.1';"
        say "mariadbd runs"
    fi
    if ! runs slurmdbd; then
        cat >"$ROOT/etc/slurmdbd.conf" <<END
AuthType=auth/munge
AuthInfo=socket=$ROOT/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$DBD_PORT
SlurmUser=root
LogFile=$ROOT/log/slurmdbd.log
PidFile=$ROOT/pid/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORTS + 2))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
END
        chmod 600 "$ROOT/etc/slurmdbd.conf"
        slurmdbd
        within 60 sacctmgr -n show cluster || die "slurmdbd fails: see $ROOT/log/slurmdbd.log"
        # Jobs of an unknown cluster would not be recorded.
        [ -n "$(sacctmgr -n show cluster testcluster)" ] ||
            sacctmgr -i add cluster testcluster >/dev/null
        say "slurmdbd runs"
    fi
}

start_controller() {
    if runs slurmctld; then return; fi
    check_port
    slurmctld -f "$SLURM_CONF"
    within 30 controller_answers || die "slurmctld fails: see $ROOT/log/slurmctld.log"
    say "slurmctld runs"
}

controller_answers() { [[ $(scontrol ping) == *" is UP"* ]]; }

nodes_in() { sinfo -h -p main -N -t "$1" -o %N | sort -u | wc -l; } # STATE,...

all_nodes_are_up() { [ "$(nodes_in idle,mixed,allocated,completing)" = "$NODES" ]; }

start_nodes() {
    local node started=0
    for ((node = 1; node <= NODES; node++)); do
        if runs "slurmd-n$node"; then continue; fi
        mkdir -p "$ROOT/spool/n$node"
        slurmd -f "$SLURM_CONF" -N "n$node"
        started=$((started + 1))
    done
    [ $started = 0 ] || say "$started slurmd started"
}

start() {
    [ "$(id -u)" = 0 ] || die "only root can start it: each node's slurmd must run as root"
    command -v apt-get >/dev/null || die "needs Debian or a relative: there is no apt-get"
    mkdir -p "$ROOT"/{etc,pid,state,spool,log,dev,db}
    install_packages
    configure
    check_port
    start_munged
    [ "$ACCOUNTING" = 0 ] || start_accounting
    start_controller
    start_nodes
    # A node that an earlier test drained, or that was lost, is taken back.
    if ! within 5 all_nodes_are_up; then
        scontrol update NodeName="n[1-$NODES]" State=RESUME >/dev/null 2>&1 || true
        within 30 all_nodes_are_up || die "nodes do not come up: see $ROOT/log"
    fi
    say "ready: $(sinfo -h -p main -o '%D nodes of %c CPUs and %G, %T')"
    show_env
}

# --- stopping ------------------------------------------------------------------------------

no_jobs() { [ -z "$(squeue -h)" ]; }

stop() {
    local pid nodes=() node
    if ! any_runs; then
        say "nothing runs"
        return
    fi
    # Only the controller can end jobs in good order, so it is brought back if it is missing.
    (start_munged && start_controller) || true
    if controller_answers; then
        scancel --me 2>/dev/null || true
        within 20 no_jobs || say "some jobs do not end"
    fi
    for ((node = 1; node <= NODES; node++)); do nodes+=("slurmd-n$node"); done
    stop_daemons "${nodes[@]}" slurmctld
    # A job's manager outlives its slurmd; none should be left by now.
    for pid in $(pgrep -x slurmstepd || true); do
        if ours "$pid"; then
            pkill -9 -P "$pid" || true
            kill -9 "$pid" 2>/dev/null || true
        fi
    done
    stop_daemons slurmdbd mariadbd
    stop_daemons munged
}

show_env() { echo "export SLURM_CONF=$SLURM_CONF"; }

# -------------------------------------------------------------------------------------------

case ${1-} in
-h | --help | help)
    usage
    exit
    ;;
start | stop | env | start-controller | stop-controller) ;;
*)
    usage >&2
    exit 2
    ;;
esac

ACCOUNTING=${ACCOUNTING:-0}
PORTS=${PORTS:-26800}
DBD_PORT=$((PORTS + 1))
HOST=$(hostname -s)
ROOT=${2:-$(cd "$(dirname "$0")/../.." && pwd)/runs/slurm}
ROOT=$(realpath -m "$ROOT")
# Slurm's file has no quotes for spaces, and a socket's path may have 107 characters.
[[ $ROOT != *[[:space:]]* ]] || die "the path has spaces: $ROOT"
[ ${#ROOT} -le 70 ] || die "the path is too long for sockets: $ROOT"
export SLURM_CONF=$ROOT/etc/slurm.conf

case $1 in
start) start ;;
stop) stop ;;
env) show_env ;;
start-controller) start_controller ;;
stop-controller) stop_daemons slurmctld ;;
esac
