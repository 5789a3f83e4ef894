# shellcheck shell=bash
# Events of the trial kill that end or stop the process of the selected subject. Sourced by it.
#
# cause_EVENT is called with ended, the process's PID, and returns when the clients have noticed the
# end of the process and before another one serves. After release_EVENT the kubelet starts one.
# Between them, if there is one, away_EVENT keeps it away; it sets ended and kills for each process
# that it ends.

# Seconds.
readonly LOOP_LENGTH=60 CRASH_LENGTH=120 KUBELET_LENGTH=30

ended='' kills=0 replaced_image=''

has_restarted() { # has_restarted PID: a process with another PID runs
    local number
    number=$(process_number) && [[ $number != "$1" ]]
}
has_ended() { ! in_cluster kill -0 "$1" 2>/dev/null; }
kill_process() { in_cluster kill -s KILL "$ended"; }

# The kubelet takes a second to restart it.
cause_KILL() {
    kill_process
    sleep 0.4
}
release_KILL() { :; }

# After a second the kernel sends queries elsewhere; after four, ours is killed.
cause_STOP() {
    in_cluster kill -s STOP "$ended"
    sleep 2
}
release_STOP() { :; }

cause_LOOP() { cause_KILL; }
away_LOOP() {
    local until=$((SECONDS + LOOP_LENGTH))
    while ((SECONDS < until)); do
        if has_restarted "$ended" && ended=$(process_number) && kill_process; then kills=$((kills + 1)); fi
        sleep 0.2
    done
}
release_LOOP() { :; }

# Version 2 kills as soon as the limit is below the usage; version 1 rejects such a limit, and kills
# when the process needs more.
cause_OOM() {
    local before
    before=$(oom_kills)
    # shellcheck disable=SC2016 # the inner shell's variables
    in_cluster bash -c '
        group=$(sed -n "s|^[0-9]*:memory:|/sys/fs/cgroup/memory|p" "/proc/$0/cgroup")
        file=memory.limit_in_bytes usage=memory.usage_in_bytes
        if [[ -z $group ]]; then
            group=$(sed -n "s|^0::|/sys/fs/cgroup|p" "/proc/$0/cgroup")
            file=memory.max usage=memory.current
        fi
        for ((i = 0; i < 600; i++)); do
            kill -0 "$0" || exit 0
            echo $(($(<"$group/$usage") - 65536)) >"$group/$file"
            sleep 0.05
        done' "$ended" 2>/dev/null
    has_ended "$ended" || die "the process is not killed at its memory limit"
    sleep 0.2
    require "OOM: the kernel's OOM killer has ended the process" test "$(oom_kills)" -gt "$before"
}
release_OOM() { :; }
oom_kills() { sed -n 's/^oom_kill //p' /proc/vmstat; }

make_crashing_image() {
    printf 'int main(void) { return 1; }' | gcc -static -Os -s -o "$WORK/crash" -xc -
}

# The tag of the image leads to another: the kubelet restarts the container from it.
cause_CRASH() {
    local image=localhost/nodelocaldns:0.1.0
    [[ $subject == ours ]] || image=localhost/$subject:1
    at_exit+=(release_CRASH) replaced_image=yes
    "$CLUSTER" image "$image" "$WORK/crash:/$process" >/dev/null
    cause_KILL
}
away_CRASH() {
    sleep "$CRASH_LENGTH"
    require "CRASH: the kubelet has started the image that exits at least 3 times" at_least 3 "$(restarts)"
}
release_CRASH() {
    [[ -n $replaced_image ]] || return 0
    replaced_image=
    if [[ $subject == ours ]]; then
        (cd "$TRIALS/../../.." && "$CLUSTER" in ctr -n k8s.io images import target/image/nodelocaldns.tar >/dev/null)
    else
        incumbent_image "$subject" >/dev/null
    fi
}

# The load generator's input and output wait in the kubelet meanwhile: there is one window.
cause_KUBELET() {
    at_exit+=(release_KUBELET)
    in_cluster pkill -STOP --exact kubelet
    kill_process
    sleep "$KUBELET_LENGTH"
    require "KUBELET: no process is started while the kubelet is stopped" test -z "$(process_number)"
}
release_KUBELET() { in_cluster pkill -CONT --exact kubelet; }
