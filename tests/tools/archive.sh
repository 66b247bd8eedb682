#!/usr/bin/env bash
# Packs the command line for one platform, as krew and people download it: the program, the script
# for kubectl's completions, the licences. The same files give the same bytes.
#
#   tests/tools/archive.sh OS ARCH PROGRAM      # such as: linux amd64 target/dist/gitvolume
#
# The archive is target/release-VERSION/gitvolume-VERSION-OS-ARCH.tar.gz, for windows .zip (needs
# python3). RELEASE_DIR names another directory, LICENSES another file with the licences.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() { echo "usage: $0 linux|darwin|windows amd64|arm64 PROGRAM" >&2; exit 2; }
[[ $# == 3 && $1 =~ ^(linux|darwin|windows)$ && $2 =~ ^(amd64|arm64)$ ]] || usage
os=$1 arch=$2 program=$3
[[ -f $program ]] || { echo "$program: expected the program for $os/$arch; make dist builds this machine's" >&2; exit 2; }
licenses=${LICENSES:-target/dist/gitvolume.licenses.txt}
[[ -f $licenses ]] || { echo "$licenses: missing; make licenses writes it" >&2; exit 2; }

version=$(tests/tools/version.sh)
out=$(realpath -m "${RELEASE_DIR:-target/release-$version}")
name=gitvolume-$version-$os-$arch
# A file's time is part of an archive.
epoch=${SOURCE_DATE_EPOCH:-315532800}
export TZ=UTC

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
suffix=
[[ $os == windows ]] && suffix=.exe
install -m 0755 "$program" "$work/gitvolume$suffix"
install -m 0644 LICENSE "$work/LICENSE"
install -m 0644 "$licenses" "$work/THIRD-PARTY"
[[ $os == windows ]] || install -m 0755 webhook/cli/kubectl_complete-gitvolume "$work/kubectl_complete-gitvolume"
find "$work" -exec touch --date="@$epoch" {} +

mkdir -p "$out"
if [[ $os == windows ]]; then
  archive=$out/$name.zip
  rm -f "$archive"
  (cd "$work" && find . -type f -printf '%P\n' | LC_ALL=C sort | python3 -c '
import os, sys, time, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive:
    for name in sys.stdin.read().split("\n")[:-1]:
        info = zipfile.ZipInfo(name, time.gmtime(os.stat(name).st_mtime)[:6])
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o755 << 16
        with open(name, "rb") as file:
            archive.writestr(info, file.read())
' "$archive")
else
  archive=$out/$name.tar.gz
  (cd "$work" && find . -type f -printf '%P\n' | LC_ALL=C sort |
    tar --create --files-from=- --format=ustar --owner=0 --group=0 --numeric-owner) |
    gzip --no-name --best >"$archive"
fi
echo "${archive#"$PWD"/}"
