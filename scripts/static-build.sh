# shellcheck shell=bash
# Flags of the static binary; all builds of it have the same ones, so that they share their parts.
# Equal functions are merged, and relocations are packed, which the start code of glibc 2.36 reads.
export RUSTFLAGS="-C target-feature=+crt-static"
# The crate getrandom looks for getrandom(2) in shared libraries, and reads /dev/urandom without them.
RUSTFLAGS+=' --cfg getrandom_backend="linux_getrandom"'
if [[ $(uname -m) == x86_64 ]]; then
    # The linker that comes with Rust on this platform.
    RUSTFLAGS+=" -C link-arg=-Wl,--icf=all"
fi
if [[ $(getconf GNU_LIBC_VERSION) =~ ^glibc\ 2\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 36)); then
    RUSTFLAGS+=" -C link-arg=-Wl,-z,pack-relative-relocs"
fi
# The same octets from every folder: no path of the checkout, of cargo's home or of the toolchain is in
# code, in debug information or in what the C compiler makes for ring.
for mapping in "$PWD=." "${CARGO_HOME:-$HOME/.cargo}/registry/src=/registry" \
    "$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$(rustc -vV | sed -n 's/^commit-hash: //p')"; do
    RUSTFLAGS+=" --remap-path-prefix=$mapping"
    # Arguments of the C compiler are a list of words.
    CFLAGS="${CFLAGS:+$CFLAGS }-ffile-prefix-map=$mapping"
done
# Times and owners in archives of objects are zero.
export CFLAGS ZERO_AR_DATE=1
