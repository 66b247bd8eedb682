#!/usr/bin/env bash
# Runs a command, such as a build, with the C compiler and the linker of another architecture in its environment.
#
#   tests/tools/cross.sh amd64|arm64 COMMAND…
#
# ring and mimalloc have C in them: the compiler is Debian's, the headers are those of musl in target/debian/ARCH.
set -euo pipefail
cd "$(dirname "$0")/../.."

[[ $# -gt 1 && $1 =~ ^(amd64|arm64)$ ]] || { echo "usage: tests/tools/cross.sh amd64|arm64 COMMAND…" >&2; exit 2; }
arch=$1
shift
machine=$(sed 's/amd64/x86_64/; s/arm64/aarch64/' <<<"$arch")
rust=$machine-unknown-linux-musl
package=gcc-$(tr _ - <<<"$machine")-linux-gnu
cc=$machine-linux-gnu-gcc

command -v "$cc" >/dev/null ||
  { echo "cross: $cc is missing: apt-get install --no-install-recommends $package libc6-dev-$arch-cross" >&2; exit 1; }
if [[ ! -d $(rustc --print sysroot)/lib/rustlib/$rust/lib ]]; then
  rustup target add "$rust" >/dev/null || { echo "cross: Rust's library is missing: rustup target add $rust" >&2; exit 1; }
fi
tests/tools/debian-root.sh "$arch"

flags=CFLAGS_${rust//-/_}
linker=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$rust")_LINKER
export "CC_${rust//-/_}=$cc" "$linker=$cc"
export "$flags=${!flags:-} -nostdinc -isystem $PWD/target/debian/$arch/root/usr/include/$machine-linux-musl -isystem $("$cc" -print-file-name=include)"
exec "$@"
