#!/usr/bin/env bash
# Prints which tests did not run, each with its reason, and the command that runs them.
#
#   tests/tools/not-covered.sh                 # after `make test`
#   tests/tools/not-covered.sh none-missing    # fails where a test lacked a program
set -euo pipefail
cd "$(dirname "$0")/../.."

shopt -s nullglob
missing=(target/not-run/*)
if [[ ${1:-} == none-missing ]]; then
  [[ ${#missing[@]} -eq 0 ]] || { echo "these tests did not run:" >&2; cat "${missing[@]}" >&2; exit 1; }
  exit
fi

echo
echo "Not covered by make test; make test-cluster runs all of it:"
echo "  - tests on real API servers (newest and oldest), on a real node, and of the installed chart"
# What is ignored is ignored for one reason.
cargo test --workspace --locked --tests --quiet -- --ignored --list 2>/dev/null |
  sed -n 's/: test$/: needs root, to become another user/; /needs root/s/^/  - /p'
for file in "${missing[@]}"; do
  sed 's/^/  - /' "$file"
done
