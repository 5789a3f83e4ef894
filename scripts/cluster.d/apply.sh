# shellcheck shell=bash
# Our image, and our manifests as they are shipped.

# install RUN FOLDER DAEMONSET: what a user types, each command by way of RUN; scripts/schemas holds the READMEs against it.
install() {
    "$1" scripts/image &&
        "$1" ctr -n k8s.io images import target/image/nodelocaldns.tar &&
        "$1" kubectl apply -k "$2" &&
        "$1" kubectl -n kube-system rollout status "daemonset/$3"
}

image_of_manifest() { sed -n 's/^ *image: //p' "$ROOT/daemonset/base/daemonset.yaml"; }

check_binary() {
    [[ -z $NODELOCALDNS ]] || [[ -f $NODELOCALDNS && -x $NODELOCALDNS && $("$NODELOCALDNS" -version 2>/dev/null) == "nodelocaldns "* ]] ||
        fail "NODELOCALDNS: $NODELOCALDNS is not our program"
}

image_built=
# Once in a run, and before the cluster is started: a program that does not build needs none.
build_image() {
    local arguments=()
    [[ -z $image_built ]] || return 0
    [[ -z $NODELOCALDNS ]] || arguments=("$(image_of_manifest)" "$NODELOCALDNS")
    echo "$ scripts/image ${arguments[*]}"
    "$ROOT/scripts/image" "${arguments[@]}" | sed 's/^/    /' || fail "scripts/image has failed"
    image_built=yes
    say "our image is built, $(stat -c %s "$ROOT/target/image/nodelocaldns.tar" | numfmt --to=iec)B"
}

on_node() { # on_node COMMAND...: of install; shown as typed, run from the top of the checkout
    if [[ $1 == scripts/image ]]; then
        build_image
        return
    fi
    echo "$ $*"
    (cd "$ROOT" && inside timeout 90 "$@" </dev/null) | sed 's/^/    /'
}

# Prints the digest of our image as containerd has it.
imported_digest() {
    inside ctr -n k8s.io images ls "name==$(image_of_manifest)" | awk 'NR == 2 { print $3 }'
}

# daemonset_of FOLDER: the name of its one DaemonSet. The API server has looked at all of it, and warns of nothing.
daemonset_of() {
    local names
    names=$(inside kubectl apply -k "$1" --dry-run=server --warnings-as-errors -o name) || return 1
    names=$(sed -n 's/^daemonset\.apps\///p' <<<"$names")
    [[ -n $names && $names != *$'\n'* ]] && echo "$names"
}

# apply_overlay FOLDER: the image imported, everything in the folder applied, its DaemonSet rolled out.
apply_overlay() {
    local folder before generation set
    folder=$(realpath -m "$1")
    [[ -e $folder/kustomization.yaml ]] || fail "apply: no kustomization.yaml in $1"
    set=$(daemonset_of "$folder") || fail "apply: the API server does not take $1 without a warning, or it has not one DaemonSet"
    before=$(imported_digest)
    generation=$(generation_of "$set")
    install on_node "${folder#"$ROOT/"}" "$set" || fail_with_pods "$set is not installed"
    # The same tag with other content: the manifest cannot tell, so the pods are replaced by request.
    if [[ -n $before && $before != "$(imported_digest)" && $generation == "$(generation_of "$set")" ]]; then
        on_node kubectl -n kube-system rollout restart "daemonset/$set"
        on_node kubectl -n kube-system rollout status "daemonset/$set" || fail_with_pods "$set is not rolled out"
    fi
    say "$set rolled out"
}

# generation_of DAEMONSET: a number that grows with each change of it; nothing where there is none.
generation_of() { inside kubectl -n kube-system get daemonset "$1" --ignore-not-found -o 'jsonpath={.metadata.generation}'; }

fail_with_pods() { # fail_with_pods MESSAGE: with what our pods say of themselves
    {
        inside kubectl -n kube-system get pods -o wide || true
        inside kubectl -n kube-system get events --field-selector type=Warning -o custom-columns=REASON:.reason,MESSAGE:.message || true
        inside kubectl -n kube-system logs -l k8s-app=node-local-dns --tail=10 --prefix || true
    } 2>&1 | cut -c1-300 | sed 's/^/    /' >&2
    fail "$1"
}
