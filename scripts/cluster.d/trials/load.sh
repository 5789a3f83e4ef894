# shellcheck shell=bash
# Load from a pod, and what the probe says of it. Sourced by trial.sh.

declare -A load_marks load_process

# The probe in an image of its own, and the pod that it runs in.
make_load_pod() {
    command -v go >/dev/null || die "a Go toolchain is missing, which builds the load generator"
    (cd "$TRIALS/../probe" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$WORK/probe" .)
    "$CLUSTER" image probe "$WORK/probe:/probe" >/dev/null
    kube delete pod load --ignore-not-found --grace-period=1 >/dev/null 2>&1
    kube apply -f - >/dev/null <<'END'
apiVersion: v1
kind: Pod
metadata: {name: load}
spec:
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - {name: load, image: "localhost/probe:1", imagePullPolicy: Never, command: [/probe, -idle]}
END
    kube wait --for=condition=Ready pod/load --timeout=30s >/dev/null
}

# start_load NAME ARGUMENT...: begins to ask, until end_load. Each mark ends a window and names the next.
start_load() {
    local name=$1 fd
    shift
    rm -f "$WORK/$name.marks"
    mkfifo "$WORK/$name.marks"
    (
        # Held open here, the marks of another load would not end when that one is told to.
        for fd in "${load_marks[@]}"; do exec {fd}>&-; done
        kube exec -i load -- /probe -json -marks "$@" <"$WORK/$name.marks" >"$WORK/$name.json" 2>"$WORK/$name.err"
    ) &
    load_process[$name]=$!
    exec {fd}>"$WORK/$name.marks"
    load_marks[$name]=$fd
}

mark() { # mark NAME WINDOW
    kill -0 "${load_process[$1]}" 2>/dev/null || die "the load generator has ended: $(<"$WORK/$1.err")"
    echo "$2" >&"${load_marks[$1]}"
}

end_load() { # end_load NAME: returns when all is reported
    local fd=${load_marks[$1]}
    exec {fd}>&-
    wait "${load_process[$1]}" || die "the load generator failed: $(<"$WORK/$1.err")"
    unset "load_marks[$1]" "load_process[$1]"
}

end_all_loads() {
    local name fd
    for name in "${!load_marks[@]}"; do
        fd=${load_marks[$name]}
        exec {fd}>&-
        kill "${load_process[$name]}" 2>/dev/null || true
    done
}

await_window() { # await_window NAME WINDOW: a window is reported when the last of its questions is settled
    eventually 10 grep -q "\"window\":\"$2\"" "$WORK/$1.json" || die "no report of the load's window $2: $(<"$WORK/$1.err")"
}

figure() { # figure NAME WINDOW STREAM NAMES FIELD
    grep -F "\"window\":\"$2\",\"stream\":\"$3\",\"names\":\"$4\"" "$WORK/$1.json" | sed -nE "s/.*\"$5\":(-?[0-9.]+).*/\1/p"
}

# total NAME FIELD WINDOW...: over both streams and these windows.
total() {
    local name=$1 field=$2 window sum=0 value stream
    shift 2
    for window; do
        for stream in udp tcp; do
            value=$(figure "$name" "$window" "$stream" all "$field")
            sum=$((sum + ${value:-0}))
        done
    done
    echo "$sum"
}

# worst NAME FIELD WINDOW...: the largest over both streams and these windows.
worst() {
    local name=$1 field=$2 window stream
    shift 2
    for window; do
        for stream in udp tcp; do figure "$name" "$window" "$stream" all "$field"; done
    done | sort -n | tail -n 1
}
