#!/usr/bin/env bash
# Packs a release: what `make release` has built, the chart, the base for Kustomize and the site, with checksums.
#
#   tests/tools/release.sh            all steps, into target/release-VERSION
#   tests/tools/release.sh STEP…      some of: version programs krew bills images chart kustomize site checksums
#
# RELEASE_DIR, DIST and IMAGES name other directories; TAG is the tag that is released. The same files give the same
# archives: they have no time and no user in them.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(tests/tools/version.sh)
out=${RELEASE_DIR:-target/release-$version}
dist=${DIST:-target/dist}
images=${IMAGES:-target/images}
host=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
PATH=${GITVOLUME_TOOLS:-$PWD/target/tools}/bin:$PATH

fail() { echo "release: $*" >&2; exit 1; }

# pack FILE DIR NAME…: an archive without time and user.
pack() {
  local file=$1 dir=$2
  shift 2
  tar --create --directory "$dir" --sort=name --owner=0 --group=0 --numeric-owner --mode=go=u,go-w \
    --mtime="@${SOURCE_DATE_EPOCH:-0}" "$@" | gzip --no-name --best >"$out/$file"
}

# One version everywhere, and the tag's.
version() {
  local of
  for of in version appVersion; do
    grep -qx "$of: $version" charts/gitvolume/Chart.yaml ||
      fail "Chart.yaml: $of: expected $version, as in Cargo.toml"
  done
  [[ -n ${TAG:-} ]] || return 0
  [[ $TAG == "v$version" ]] || fail "TAG: \"$TAG\": expected v$version, as in Cargo.toml"
  grep -q "^## \[$version\]" CHANGELOG.md || fail "CHANGELOG.md: expected a section [$version]"
}

# This machine's programs, and those of `make dist ARCH=…`.
programs() {
  local arch dir program
  for arch in amd64 arm64; do
    dir=$dist
    [[ $arch == "$host" ]] || dir=$dist/$arch
    [[ -d $dir ]] || continue
    cp LICENSE "$dir/LICENSE"
    for program in gitvolume-syncer gitvolume-webhook; do
      pack "$program-$version-linux-$arch.tar.gz" "$dir" LICENSE "$program"
    done
    LICENSES=$dist/gitvolume.licenses.txt RELEASE_DIR=$out tests/tools/archive.sh linux "$arch" "$dir/gitvolume" >/dev/null
  done
}

krew() { RELEASE_DIR=$out tests/tools/krew.sh >/dev/null; }
bills() { cp "$dist"/*.cdx.json "$dist"/*.licenses.txt "$out"; }
images() { cp "$images"/gitvolume.tar "$images"/gitvolume-syncer.tar "$out"; }
chart() { helm package charts/gitvolume --destination "$out" >/dev/null; }
kustomize() { pack "gitvolume-kustomize-$version.tar.gz" charts kustomize; }

site() {
  local dir
  dir=$(mktemp --directory)
  tests/tools/site.sh "$dir" >/dev/null
  pack "gitvolume-site-$version.tar.gz" "$dir" book
  rm -rf "$dir"
}

checksums() (cd "$out" && rm -f SHA256SUMS && sha256sum -- * >.sums && mv .sums SHA256SUMS)

steps=(version programs krew bills images chart kustomize site checksums)
mkdir -p "$out"
for step in "${@:-${steps[@]}}"; do
  [[ " ${steps[*]} " == *" $step "* ]] || fail "\"$step\": expected one of ${steps[*]}"
done
for step in "${@:-${steps[@]}}"; do
  "$step"
done
echo "$out"
