# shellcheck shell=bash
# Our image, and our manifests as they are shipped.

image_of_manifest() { sed -n 's/^ *image: //p' "$ROOT/daemonset/base/daemonset.yaml"; }

build_image() {
    local name
    name=$(image_of_manifest)
    [[ -z $NODELOCALDNS || -x $NODELOCALDNS ]] || fail "NODELOCALDNS: $NODELOCALDNS is not a program"
    "$ROOT/scripts/image" "$name" ${NODELOCALDNS:+"$NODELOCALDNS"} >/dev/null || fail "scripts/image has failed"
    say "image $name built, $(stat -c %s "$ROOT/target/image/nodelocaldns.tar" | numfmt --to=iec)B"
}

# Prints the digest of our image as containerd has it.
imported_digest() {
    inside ctr -n k8s.io images ls "name==$(image_of_manifest)" | awk 'NR == 2 { print $3 }'
}

# apply_overlay FOLDER: the image imported, everything in the folder applied, every DaemonSet of it rolled out.
apply_overlay() {
    local folder=$1 before applied set
    [[ -e $folder/kustomization.yaml ]] || fail "apply: no kustomization.yaml in $folder"
    before=$(imported_digest)
    import_image <"$ROOT/target/image/nodelocaldns.tar" || fail "containerd refuses our image"
    applied=$(inside kubectl apply -k "$folder") || fail "kubectl apply -k $folder has failed"
    echo "$applied"
    while read -r set; do
        # The same tag with other content: the manifest cannot tell, so the pods are replaced by request.
        if [[ -n $before && $before != "$(imported_digest)" ]] && grep -qx "$set unchanged" <<<"$applied"; then
            inside kubectl -n kube-system rollout restart "$set" </dev/null
        fi
        inside kubectl -n kube-system rollout status "$set" --timeout=90s >/dev/null </dev/null ||
            fail_with_pods "$set is not rolled out"
        say "$set rolled out"
    done < <(sed -n 's/^\(daemonset\.apps\/[^ ]*\) .*/\1/p' <<<"$applied")
}

fail_with_pods() { # fail_with_pods MESSAGE: with what our pods say of themselves
    {
        inside kubectl -n kube-system get pods -o wide || true
        inside kubectl -n kube-system get events --field-selector type=Warning -o custom-columns=REASON:.reason,MESSAGE:.message || true
        inside kubectl -n kube-system logs -l k8s-app=node-local-dns --tail=10 --prefix || true
    } 2>&1 | cut -c1-300 | sed 's/^/    /' >&2
    fail "$1"
}
