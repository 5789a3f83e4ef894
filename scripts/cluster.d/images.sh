# shellcheck shell=bash
# Container images from local files, without a registry or a container engine.

# image_name NAME: its full name: localhost/ for a bare name, tag 1 by default.
image_name() {
    local name=$1
    [[ $name == */* ]] || name=localhost/$name
    [[ ${name##*/} == *:* ]] || name+=:1
    echo "$name"
}

# copy_into ROOT FILE[:DEST]: a file or folder and the shared libraries of the programs in it.
copy_into() {
    local source=${2%%:*} target=$1/${2#*:}
    [[ -e $source ]] || fail "image: no such file: $source"
    mkdir -p "$(dirname "$target")"
    cp -rL "$source" "$target"
    find -L "$source" -type f \( -perm /111 -o -name '*.so*' \) -exec ldd {} \; 2>/dev/null |
        { grep -oE '/[^ :]+' || true; } | sort -u | xargs -r cp -L --parents -t "$1"
}

# make_image NAME FILE[:DEST]...: imports it into the running cluster and prints its name.
make_image() {
    (($# >= 2)) || usage
    require_running
    local name folder entry=${2#*:} file sum
    name=$(image_name "$1")
    folder=$(mktemp -d "$STATE/image.XXXXXX")
    shift
    mkdir -p "$folder/root"/{tmp,etc,run,proc,sys,dev}
    for file; do copy_into "$folder/root" "$file"; done
    tar -C "$folder/root" --owner=0 --group=0 --numeric-owner -cf "$folder/layer.tar" .
    sum=$(sha256sum <"$folder/layer.tar" | cut -d' ' -f1)
    cat >"$folder/config.json" <<END
{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/${entry#/}"],"Env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
 "rootfs":{"type":"layers","diff_ids":["sha256:$sum"]}}
END
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$name" >"$folder/manifest.json"
    tar -C "$folder" -c manifest.json config.json layer.tar | import_image || fail "containerd rejects the image $name"
    rm -rf "$folder"
    echo "$name"
}

import_image() { # an archive on standard input
    in_cluster ctr -n k8s.io images import - >/dev/null
}

get_coredns() {
    [[ -n $COREDNS ]] || COREDNS=$("$ROOT/scripts/coredns")
    [[ -f $COREDNS && -x $COREDNS && $("$COREDNS" -version 2>/dev/null) == CoreDNS-* ]] || fail "COREDNS: $COREDNS is not CoreDNS"
    COREDNS=$(realpath "$COREDNS")
    reject_hidden_paths "$COREDNS"
    export COREDNS
}

# The directory of libnss_dns, which getent loads by name.
libraries_of_glibc() {
    local found
    found=$(ldconfig -p | sed -n 's/.*=> \(.*\)\/libnss_dns\.so\.2$/\1/p')
    echo "${found%%$'\n'*}"
}

# Images of every cluster: the pod sandbox, CoreDNS, and a client with a shell and DNS tools.
make_base_images() {
    local libraries
    libraries=$(libraries_of_glibc)
    echo 'int pause(void); int main(void) { for (;;) pause(); }' | gcc -static -Os -s -o "$STATE/pause" -xc -
    make_image pause "$STATE/pause:/pause" >/dev/null
    make_image coredns "$COREDNS:/coredns" >/dev/null
    make_image client "$(command -v busybox):/bin/busybox" "$(command -v busybox):/bin/sh" "$(command -v busybox):/bin/wget" \
        "$(command -v busybox):/bin/cat" "$(command -v busybox):/bin/grep" \
        "$(command -v dig):/bin/dig" "$(command -v host):/bin/host" "$(command -v nslookup):/bin/nslookup" \
        "$(command -v getent):/bin/getent" "$libraries/libnss_dns.so.2" "$libraries/libnss_files.so.2" >/dev/null
}
