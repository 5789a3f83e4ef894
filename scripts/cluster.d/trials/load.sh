# shellcheck shell=bash
# Load from a pod, and the results of loadgen. Sourced by trial.sh.

declare -A load_marks load_process

# The image of loadgen, and the pod in which it runs.
make_load_pod() {
    command -v go >/dev/null || die "a Go toolchain is missing; it builds the load generator"
    (cd "$TRIALS/../loadgen" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$WORK/loadgen" .)
    "$CLUSTER" image loadgen "$WORK/loadgen:/loadgen" >/dev/null
    remove_load_pod
    kube apply -f - >/dev/null <<'END'
apiVersion: v1
kind: Pod
metadata: {name: load}
spec:
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - {name: load, image: "localhost/loadgen:1", imagePullPolicy: Never, command: [/loadgen, -idle]}
END
    kube wait --for=condition=Ready pod/load --timeout=30s >/dev/null
}

remove_load_pod() { kube delete pod load --ignore-not-found --grace-period=1 >/dev/null 2>&1; }

# start_load NAME ARGUMENT...: sends queries until stop_load. Each mark ends a window and names the
# next.
start_load() {
    local name=$1 fd
    shift
    rm -f "$WORK/$name.marks"
    mkfifo "$WORK/$name.marks"
    (
        # Otherwise this process would keep the FIFO of another load open after its end.
        for fd in "${load_marks[@]}"; do exec {fd}>&-; done
        kube exec -i load -- /loadgen -json -marks "$@" <"$WORK/$name.marks" >"$WORK/$name.json" 2>"$WORK/$name.err"
    ) &
    load_process[$name]=$!
    exec {fd}>"$WORK/$name.marks"
    load_marks[$name]=$fd
}

mark_window() { # mark_window NAME WINDOW
    kill -0 "${load_process[$1]}" 2>/dev/null || die "the load generator has ended: $(<"$WORK/$1.err")"
    echo "$2" >&"${load_marks[$1]}"
}

stop_load() { # stop_load NAME: returns when all results are written
    local fd=${load_marks[$1]}
    exec {fd}>&-
    wait "${load_process[$1]}" || die "the load generator failed: $(<"$WORK/$1.err")"
    unset "load_marks[$1]" "load_process[$1]"
}

stop_all_loads() {
    local name fd
    for name in "${!load_marks[@]}"; do
        fd=${load_marks[$name]}
        exec {fd}>&-
        kill "${load_process[$name]}" 2>/dev/null || true
    done
}

await_window() { # await_window NAME WINDOW: a window is reported when its last query is complete
    eventually 10 grep -q "\"window\":\"$2\"" "$WORK/$1.json" || die "no report of the load's window $2: $(<"$WORK/$1.err")"
}

load_stat() { # load_stat NAME WINDOW TRANSPORT NAMES FIELD
    grep -F "\"window\":\"$2\",\"transport\":\"$3\",\"names\":\"$4\"" "$WORK/$1.json" | sed -nE "s/.*\"$5\":(-?[0-9.]+).*/\1/p"
}

# load_total NAME FIELD WINDOW...: sum over both transports and these windows.
load_total() {
    local name=$1 field=$2 window sum=0 value transport
    shift 2
    for window; do
        for transport in udp tcp; do
            value=$(load_stat "$name" "$window" "$transport" all "$field")
            sum=$((sum + ${value:-0}))
        done
    done
    echo "$sum"
}

# load_max NAME FIELD WINDOW...: maximum over both transports and these windows.
load_max() {
    local name=$1 field=$2 window transport
    shift 2
    for window; do
        for transport in udp tcp; do load_stat "$name" "$window" "$transport" all "$field"; done
    done | sort -n | tail -n 1
}
