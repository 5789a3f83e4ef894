# shellcheck shell=bash
# Flags of the static binary; all builds of it have the same ones, so that they share their parts.
# Equal functions are merged, and relocations are packed, which the start code of glibc 2.36 reads.
export RUSTFLAGS="-C target-feature=+crt-static"
if [[ $(uname -m) == x86_64 ]]; then
    # The linker that comes with Rust on this platform.
    RUSTFLAGS+=" -C link-arg=-Wl,--icf=all"
fi
if [[ $(getconf GNU_LIBC_VERSION) =~ ^glibc\ 2\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 36)); then
    RUSTFLAGS+=" -C link-arg=-Wl,-z,pack-relative-relocs"
fi
