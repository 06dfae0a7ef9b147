#!/bin/sh
# Finds or installs what guests are built with, then runs the given command
# with it:
#
#   plugins/toolchain.sh                        # only find or install
#   plugins/toolchain.sh cargo run -p isinglass-build-plugins -- --check
#
# 1. The standard library of the target is there already (any toolchain).
# 2. rustup can download it.
# 3. Debian's rustc-web packages: the library is built from source
#    (needs rustc-web, cargo-web and rust-web-src; about 140 MB).
#
# Exit code 3: none of these. The engine builds all the same, because the
# built-in plugins are checked in.
set -eu

target=wasm32-unknown-unknown
deb_bin=/usr/bin

has_std() {
    [ -d "$("$1" --print sysroot)/lib/rustlib/$target/lib" ]
}

say() {
    echo "toolchain.sh: $*" >&2
}

# A linker for WebAssembly: the one of the toolchain, or one of the distribution.
linker() {
    for candidate in "$(rustc --print sysroot 2>/dev/null)"/lib/rustlib/*/bin/rust-lld; do
        [ -x "$candidate" ] && { echo "$candidate"; return; }
    done
    command -v rust-lld || command -v wasm-ld || ls /usr/lib/llvm-*/bin/wasm-ld 2>/dev/null | tail -n 1
}

use_debian() {
    RUSTC=$deb_bin/rustc
    CARGO=$deb_bin/cargo
    lld=$(linker)
    [ -n "$lld" ] || { say "no linker for WebAssembly found: apt-get install lld"; exit 3; }
    RUSTC_BOOTSTRAP=1
    ISINGLASS_GUEST_CARGO_ARGS="-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size \
--config target.$target.linker='$lld'"
    export RUSTC CARGO RUSTC_BOOTSTRAP ISINGLASS_GUEST_CARGO_ARGS
    say "standard library from source, by $("$RUSTC" --version)"
}

if command -v rustc >/dev/null && has_std rustc; then
    :
elif command -v rustup >/dev/null && rustup target add "$target"; then
    :
elif [ -x "$deb_bin/rustc" ] && [ -d "$("$deb_bin/rustc" --print sysroot)/lib/rustlib/src/rust/library" ]; then
    use_debian
elif command -v apt-get >/dev/null && apt-cache policy rust-web-src 2>/dev/null | grep -q 'Candidate: 1\.\(9[6-9]\|[1-9][0-9][0-9]\)'; then
    if [ "$(id -u)" != 0 ]; then
        say "as root: apt-get install --no-install-recommends rustc-web cargo-web rust-web-src"
        exit 3
    fi
    apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src >&2
    use_debian
else
    say "the target $target is missing and could not be installed."
    say "With network: rustup target add $target"
    say "Without: on Debian apt-get install rustc-web cargo-web rust-web-src"
    exit 3
fi

[ $# -eq 0 ] || exec "$@"
