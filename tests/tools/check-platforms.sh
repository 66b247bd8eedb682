#!/usr/bin/env bash
# Checks that the command line compiles for the platforms of its archives. ring has C in it, so each
# platform needs a C compiler: Debian's for linux and windows, or zig (PyPI's `ziglang`), which has
# the headers of all of them. A platform without one is named and not checked.
#
#   tests/tools/check-platforms.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

# RUST TARGET, zig's name of it, and a C compiler besides zig. make dist builds this machine's own.
platforms=(
  "aarch64-unknown-linux-musl aarch64-linux-musl aarch64-linux-gnu-gcc"
  "x86_64-apple-darwin x86_64-macos -"
  "aarch64-apple-darwin aarch64-macos -"
  "x86_64-pc-windows-gnu x86_64-windows-gnu x86_64-w64-mingw32-gcc"
  "aarch64-pc-windows-gnullvm aarch64-windows-gnu aarch64-w64-mingw32-clang"
)

zig=()
if command -v zig >/dev/null; then
  zig=(zig)
elif python3 -c 'import ziglang' 2>/dev/null; then
  zig=(python3 -m ziglang)
fi

wrappers=$(mktemp -d)
trap 'rm -rf "$wrappers"' EXIT

# compiler ZIG_TARGET PROGRAM: prints a C compiler.
compiler() {
  if [[ $2 != - ]] && command -v "$2"; then
    return
  fi
  [[ ${#zig[@]} != 0 ]] || return 1
  # The cc crate adds Rust's name of the target, which zig does not know.
  cat >"$wrappers/$1" <<EOF
#!/usr/bin/env bash
args=()
for arg in "\$@"; do
  case \$arg in
    --target=*|-arch|x86_64|arm64|-mmacosx-version-min=*|-miphoneos-version-min=*) ;;
    *) args+=("\$arg") ;;
  esac
done
exec ${zig[*]} cc -target $1 "\${args[@]}"
EOF
  chmod +x "$wrappers/$1"
  echo "$wrappers/$1"
}

for platform in "${platforms[@]}"; do
  read -r target name program <<<"$platform"
  if ! cc=$(compiler "$name" "$program"); then
    echo "$target: not checked: no C compiler for it here (pip install ziglang, or ${program/#-/zig})"
    continue
  fi
  if [[ ! -d $(rustc --print sysroot)/lib/rustlib/$target ]] &&
    ! { command -v rustup >/dev/null && timeout 300 rustup target add "$target" >/dev/null 2>&1; }; then
    echo "$target: not checked: its standard library cannot be installed (rustup target add $target)"
    continue
  fi
  export "CC_${target//-/_}=$cc"
  cargo check --quiet --locked --package cli --bin gitvolume --target "$target" --target-dir target/platforms
  echo "$target: compiles"
done
