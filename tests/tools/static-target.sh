#!/usr/bin/env bash
# Prints the Rust target that the shipped programs are built for, always a static one: musl, where
# its standard library and C compiler (ring has C in it) are there or can be had, else glibc.
set -euo pipefail
cd "$(dirname "$0")/../.."

arch=$(uname -m)
musl=$arch-unknown-linux-musl
answer=target/static-target
if [[ -s $answer ]]; then
  cat "$answer"
  exit
fi

has_std() { [[ -d $(rustc --print sysroot)/lib/rustlib/$musl/lib ]]; }
has_cc() { command -v musl-gcc >/dev/null; }

if ! has_cc && [[ $(id -u) == 0 && -e /etc/debian_version ]]; then
  apt-get install -y --no-install-recommends musl-tools >/dev/null 2>&1 ||
    { apt-get update && apt-get install -y --no-install-recommends musl-tools; } >/dev/null 2>&1 || true
fi
if ! has_std && command -v rustup >/dev/null; then
  timeout 600 rustup target add "$musl" >/dev/null 2>&1 || true
fi

mkdir -p target
if has_std && has_cc; then
  echo "$musl" >"$answer"
else
  echo "no musl target here (rustup target add $musl, Debian's musl-tools): linking glibc statically" >&2
  echo "$arch-unknown-linux-gnu" >"$answer"
fi
cat "$answer"
