# shellcheck shell=bash
# The programs of Kubernetes and etcd as one binary, built once and cached by version.

# Puts the programs into $BIN.
get_kubernetes() {
    local binary program
    binary=$(kubernetes_binary)
    reject_hidden_paths "$binary"
    for program in $PROGRAMS; do ln -sf "$binary" "$BIN/$program"; done
    "$BIN/kubectl" version --client >/dev/null 2>&1 || fail "$binary is not the combined Kubernetes binary"
}

kubernetes_binary() {
    [[ -z $KUBERNETES || (-f $KUBERNETES && -r $KUBERNETES) ]] || fail "KUBERNETES: no such file: $KUBERNETES"
    case $KUBERNETES in
    '') built_kubernetes ;;
    *.xz) unpacked_kubernetes "$KUBERNETES" ;;
    *) realpath "$KUBERNETES" ;;
    esac
}

unpacked_kubernetes() { # unpacked_kubernetes FILE: cached by the archive's digest
    local target
    target=$ROOT/.cache/kubernetes/$(sha256sum <"$1" | cut -c1-16)
    if [[ ! -x $target ]]; then
        log "unpacking $1" >&2
        mkdir -p "${target%/*}"
        xz -dcqq "$1" >"$target.$$" || { rm -f "$target.$$"; fail "cannot unpack $1"; }
        chmod +x "$target.$$"
        mv "$target.$$" "$target"
    fi
    echo "$target"
}

built_kubernetes() {
    local version target lock
    version=$(sed -n 's/^\tk8s\.io\/kubernetes v//p' "$HERE/onenode/go.mod")
    target=$ROOT/.cache/kubernetes/$version-$(cat "$HERE/onenode"/{go.mod,main.go} | sha256sum | cut -c1-8)
    mkdir -p "${target%/*}"
    # Concurrent runs build once.
    exec {lock}>"$target.lock"
    flock "$lock"
    [[ -x $target ]] || build_kubernetes "$version" "$target" >&2
    exec {lock}>&-
    echo "$target"
}

build_kubernetes() { # build_kubernetes VERSION TARGET
    local version=$1 target=$2 package=k8s.io/component-base/version total
    command -v go >/dev/null || fail "go is missing: install Go 1.25 or later, https://go.dev/doc/install, or give KUBERNETES=a built binary"
    log "building Kubernetes $version, once: fetching its modules"
    total=$(cd "$HERE/onenode" && go list -deps . | wc -l) || fail "the modules of Kubernetes cannot be fetched"
    log "building Kubernetes $version: at most $total packages to compile, about six minutes on two cores"
    (cd "$HERE/onenode" && CGO_ENABLED=0 go build -v -trimpath -o "$target.$$" \
        -ldflags="-s -w -X $package.gitVersion=v$version -X $package.gitMajor=${version%%.*} -X $package.gitMinor=$(cut -d. -f2 <<<"$version")" \
        .) 2>&1 | show_progress "$total" || { rm -f "$target.$$"; fail "Kubernetes cannot be built"; }
    mv "$target.$$" "$target"
    log "Kubernetes $version built: $target"
}

# show_progress TOTAL: counts the packages listed by go build -v and prints its other output.
show_progress() {
    local line done=0 shown=$SECONDS
    while read -r line; do
        if [[ $line != *[!a-zA-Z0-9./_~-]* ]]; then done=$((done + 1)); else echo "$line"; fi
        ((SECONDS - shown >= 10)) || continue
        shown=$SECONDS
        log "$done of $1 packages compiled, last $line"
    done
    log "$done packages compiled and linked"
}
