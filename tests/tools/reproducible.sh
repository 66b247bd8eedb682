#!/usr/bin/env bash
# Builds the programs twice, from two copies of the same source in directories of different names
# and with Cargo's home at different paths, and holds the results equal to the byte.
#
#   tests/tools/reproducible.sh [DIRECTORY]     # default target/reproducible
set -euo pipefail
cd "$(dirname "$0")/../.."

at=$(realpath -m "${1:-target/reproducible}")
cargo_home=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
static=$(tests/tools/static-target.sh)
rm -rf "$at"

# copy DIR: what git knows of this checkout, as it is on the disk.
copy() {
  mkdir -p "$1/target"
  git ls-files -z --cached | tar --null --no-recursion --create --files-from=- | tar --extract --directory "$1"
  echo "$static" >"$1/target/static-target"
}

# build DIR CARGO_HOME
build() {
  mkdir -p "$2"
  # Only the index and the sources that are here already are shared.
  ln -sfn "$cargo_home/registry" "$2/registry"
  (cd "$1" && env --unset=CARGO_TARGET_DIR CARGO_HOME="$2" make --no-print-directory dist)
}

one=$at/one
other=$at/another/place/with-a-longer-name
for dir in "$one" "$other"; do
  copy "$dir"
done
build "$one" "$at/home"
build "$other" "$at/another/home-of-somebody-else"

failed=0
for program in gitvolume-webhook gitvolume gitvolume-syncer; do
  a=$one/target/dist/$program
  b=$other/target/dist/$program
  if cmp "$a" "$b"; then
    (cd "$(dirname "$a")" && sha256sum "$program")
  else
    failed=1
  fi
  # A path of the machine in a program is what would make two builds differ.
  if grep --quiet --text --fixed-strings -e "$at" -e "$cargo_home" "$a"; then
    echo "$program has paths of this machine in it:"
    strings -a "$a" | grep --fixed-strings -e "$at" -e "$cargo_home" | head -n 5
    failed=1
  fi
done
exit $failed
