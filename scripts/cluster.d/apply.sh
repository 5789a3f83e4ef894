# shellcheck shell=bash
# Builds and imports our image, and applies our manifests as shipped.

# install RUN FOLDER DAEMONSET: the documented commands, each run by RUN; scripts/schemas compares
# the READMEs with it.
install() {
    "$1" scripts/image &&
        "$1" ctr -n k8s.io images import target/image/nodelocaldns.tar &&
        "$1" kubectl apply -k "$2" &&
        "$1" kubectl -n kube-system rollout status "daemonset/$3"
}

image_of_manifest() { sed -n 's/^ *image: //p' "$ROOT/daemonset/base/daemonset.yaml"; }

check_binary() {
    [[ -z $NODELOCALDNS ]] || [[ -f $NODELOCALDNS && -x $NODELOCALDNS && $("$NODELOCALDNS" -version 2>/dev/null) == "nodelocaldns "* ]] ||
        fail "NODELOCALDNS: $NODELOCALDNS is not nodelocaldns"
}

image_built=
# Once per run, before the cluster is started, so that a build error is found first.
build_image() {
    local arguments=()
    [[ -z $image_built ]] || return 0
    [[ -z $NODELOCALDNS ]] || arguments=("$(image_of_manifest)" "$NODELOCALDNS")
    echo "$ scripts/image ${arguments[*]}"
    "$ROOT/scripts/image" "${arguments[@]}" | sed 's/^/    /' || fail "scripts/image has failed"
    image_built=yes
    log "our image is built, $(stat -c %s "$ROOT/target/image/nodelocaldns.tar" | numfmt --to=iec)B"
}

on_node() { # on_node COMMAND...: the RUN of install: prints the command and runs it in the checkout
    if [[ $1 == scripts/image ]]; then
        build_image
        return
    fi
    echo "$ $*"
    (cd "$ROOT" && in_cluster timeout 90 "$@" </dev/null) | sed 's/^/    /'
}

# Prints the digest of our image in containerd.
imported_digest() {
    in_cluster ctr -n k8s.io images ls "name==$(image_of_manifest)" | awk 'NR == 2 { print $3 }'
}

# daemonset_of FOLDER: the name of its only DaemonSet; fails if the API server rejects or warns.
daemonset_of() {
    local names
    names=$(in_cluster kubectl apply -k "$1" --dry-run=server --warnings-as-errors -o name) || return 1
    names=$(sed -n 's/^daemonset\.apps\///p' <<<"$names")
    [[ -n $names && $names != *$'\n'* ]] && echo "$names"
}

# apply_overlay FOLDER: imports the image, applies the folder, waits for the rollout.
apply_overlay() {
    local folder before generation set
    folder=$(realpath -m "$1")
    [[ -e $folder/kustomization.yaml ]] || fail "apply: no kustomization.yaml in $1"
    set=$(daemonset_of "$folder") || fail "apply: the API server rejects $1 or warns about it, or it does not have one DaemonSet"
    before=$(imported_digest)
    generation=$(generation_of "$set")
    install on_node "${folder#"$ROOT/"}" "$set" || fail_with_pods "$set is not installed"
    # The same tag with other content does not change the manifest: restart the rollout.
    if [[ -n $before && $before != "$(imported_digest)" && $generation == "$(generation_of "$set")" ]]; then
        on_node kubectl -n kube-system rollout restart "daemonset/$set"
        on_node kubectl -n kube-system rollout status "daemonset/$set" || fail_with_pods "$set is not rolled out"
    fi
    log "$set rolled out"
}

# generation_of DAEMONSET: increases with each change; empty if it does not exist.
generation_of() { in_cluster kubectl -n kube-system get daemonset "$1" --ignore-not-found -o 'jsonpath={.metadata.generation}'; }

fail_with_pods() { # fail_with_pods MESSAGE: with the state, events and logs of our pods
    {
        in_cluster kubectl -n kube-system get pods -o wide || true
        in_cluster kubectl -n kube-system get events --field-selector type=Warning -o custom-columns=REASON:.reason,MESSAGE:.message || true
        in_cluster kubectl -n kube-system logs -l k8s-app=node-local-dns --tail=10 --prefix || true
    } 2>&1 | cut -c1-300 | sed 's/^/    /' >&2
    fail "$1"
}
