#!/usr/bin/env bash
# Runs both images of target/images for another architecture under QEMU: the syncer's first sync of a small repository,
# by a path and by http, and the webhook's answer to one admission request.
#
#   tests/tools/run-image.sh ARCH         amd64 or arm64
#
# The kernel starts programs of the architecture with QEMU inside a user namespace of its own, which ends with the
# script (Linux 6.7 or newer): the machine's own settings stay as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "run-image: $*" >&2; exit 1; }

[[ $# -ge 1 && $1 =~ ^(amd64|arm64)$ ]] || { echo "usage: tests/tools/run-image.sh amd64|arm64" >&2; exit 2; }
arch=$1
machine=$(sed 's/amd64/x86_64/; s/arm64/aarch64/' <<<"$arch")

if [[ -z ${GITVOLUME_IMAGE_DIR:-} ]]; then
  for program in "qemu-$machine-static" zstd curl; do
    command -v "$program" >/dev/null || fail "$program is missing: run tests/tools/prerequisites.sh images-arm64"
  done
  for image in gitvolume gitvolume-syncer; do
    [[ -f target/images/$image.tar ]] || fail "target/images/$image.tar is missing: run make images ARCHES=\"amd64 arm64\""
  done
  GITVOLUME_IMAGE_DIR=$(mktemp --directory)
  export GITVOLUME_IMAGE_DIR
  trap 'rm -rf "$GITVOLUME_IMAGE_DIR"' EXIT
  # Also when a program in the namespace is stuck.
  timeout 600 unshare --user --map-root-user --mount --pid --fork --kill-child --mount-proc "$0" "$arch"
  exit
fi

at=$GITVOLUME_IMAGE_DIR

# unpack IMAGE DIR: the layers of an archive, for the architecture.
unpack() {
  local blobs=$at/$1.oci layer
  mkdir -p "$blobs" "$2"
  tar --extract --directory "$blobs" --file "target/images/$1.tar"
  for layer in $(python3 - "$blobs" "$arch" <<'END'
import json, sys
at, architecture = sys.argv[1:]
blob = lambda digest: f"{at}/blobs/{digest.replace(':', '/')}"
read = lambda path: json.load(open(path))
index = read(blob(read(f"{at}/index.json")["manifests"][0]["digest"]))
of = {entry["platform"]["architecture"]: entry for entry in index["manifests"]}
if architecture not in of:
    sys.exit(f"run-image: no image for {architecture}, only {', '.join(of)}")
for layer in read(blob(of[architecture]["digest"]))["layers"]:
    print(blob(layer["digest"]))
END
  ); do
    zstd --decompress --stdout --quiet "$layer" |
      tar --extract --directory "$2" --keep-directory-symlink --no-same-owner
  done
}

# eventually SECONDS COMMAND…
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.5
  done
}

started() { kill -0 "$1" 2>/dev/null || fail "$2 ended: $(tail -n 5 "$at/$2.log")"; }

mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || fail "no binfmt_misc in a user namespace: Linux 6.7 or newer"
qemu=$(command -v "qemu-$machine-static")
# Of an ELF file's head: 64 bits, little endian, a program, for the machine.
code=$(sed 's/x86_64/\\x3e\\x00/; s/aarch64/\\xb7\\x00/' <<<"$machine")
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00'$code
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
# F: the interpreter is opened now, so that it need not be in the image.
printf '%s' ":qemu-$machine:M::$magic:$mask:$qemu:F" >/proc/sys/fs/binfmt_misc/register

unpack gitvolume-syncer "$at/syncer"
unpack gitvolume "$at/webhook"
for root in syncer webhook; do
  mkdir -p "$at/$root"/{proc,dev,tmp}
  mount --rbind /proc "$at/$root/proc"
  mount --rbind /dev "$at/$root/dev"
done

# A repository with another one as its submodule: git's program for these is a shell script.
commit() { git -C "$1" -c user.name=test -c user.email=test@example.invalid commit --quiet --message "$2"; }
for name in page part; do
  git init --quiet --initial-branch=main "$at/syncer/srv/$name"
  echo "a $name for $arch" >"$at/syncer/srv/$name/$name"
  git -C "$at/syncer/srv/$name" add "$name"
  commit "$at/syncer/srv/$name" "$name"
done
git -C "$at/syncer/srv/page" -c protocol.file.allow=always submodule --quiet add ../part sub >/dev/null
commit "$at/syncer/srv/page" "a submodule"
# git's oldest protocol needs only a web server; it has no shallow fetch.
for name in page part; do
  git clone --quiet --bare "$at/syncer/srv/$name" "$at/www/$name"
  git -C "$at/www/$name" update-server-info
done

said=$(chroot "$at/syncer" /bin/bash -c 'uname -m; curl --version | head -n 1; ssh -V 2>&1')
[[ $said == "$machine"* ]] || fail "the shell of the image runs on: $said"
echo "linux/$arch: $(tr '\n' ' ' <<<"$said")"

python3 -u -m http.server --bind 127.0.0.1 --directory "$at/www" 0 >"$at/http.log" 2>&1 &
http=$!
has_http_port() { started "$http" http; grep -qsE 'port [0-9]+' "$at/http.log"; }
eventually 30 has_http_port || fail "the web server did not start"
port=$(grep -oE 'port [0-9]+' "$at/http.log" | head -n 1 | cut -d ' ' -f 2)

for repo in file:///srv/page "http://127.0.0.1:$port/page"; do
  root=/tmp/of-${repo%%:*}
  env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp GITSYNC_GIT_CONFIG=safe.directory:*,protocol.file.allow:always \
    chroot "$at/syncer" /git-sync --repo="$repo" --ref=main --root="$root" --link=now --depth=0 --one-time \
    >"$at/syncer.log" 2>&1 || fail "the first sync of $repo: $(tail -n 5 "$at/syncer.log")"
  tree=$at/syncer$root/$(readlink "$at/syncer$root/now")
  for file in page sub/part; do
    [[ $(cat "$tree/$file") == "a ${file#sub/} for $arch" ]] || fail "$repo: another $file: $(cat "$tree/$file")"
  done
  echo "linux/$arch: the syncer has published $repo with its submodule"
done

echo '{"image": "registry.example/gitvolume-syncer:1"}' >"$at/webhook/tmp/settings.json"
chroot "$at/webhook" /gitvolume-webhook --tls=in-memory --tls-name=127.0.0.1 --listen=127.0.0.1:0 \
  --admin-listen=127.0.0.1:0 --config=/tmp/settings.json --drain-delay=0s --log-format=json --ca-out=/tmp/ca.pem \
  >"$at/webhook.log" 2>&1 &
webhook=$!
listens() { started "$webhook" webhook; grep -qs '"address"' "$at/webhook.log" && [[ -s $at/webhook/tmp/ca.pem ]]; }
eventually 60 listens || fail "the webhook does not listen: $(tail -n 5 "$at/webhook.log")"
address=$(grep -oE '"address":"[0-9.:]+"' "$at/webhook.log" | head -n 1 | cut -d '"' -f 4)
cat >"$at/request.json" <<'END'
{
  "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
  "request": {
    "uid": "of-the-test", "operation": "CREATE", "namespace": "default",
    "kind": {"group": "", "version": "v1", "kind": "Pod"},
    "resource": {"group": "", "version": "v1", "resource": "pods"},
    "userInfo": {"username": "test"},
    "object": {
      "apiVersion": "v1", "kind": "Pod",
      "metadata": {"name": "web", "annotations": {"gitvolume.dev/repo": "https://github.com/octocat/Hello-World.git"}},
      "spec": {"containers": [{"name": "web", "image": "nginx"}]}
    }
  }
}
END
curl --silent --show-error --fail --cacert "$at/webhook/tmp/ca.pem" --header 'Content-Type: application/json' \
  --data "@$at/request.json" "https://$address/mutate?timeout=10s" >"$at/answer.json" ||
  fail "the webhook did not answer: $(tail -n 5 "$at/webhook.log")"
python3 - "$at/answer.json" <<'END'
import base64, json, sys
answer = json.load(open(sys.argv[1]))["response"]
assert answer["uid"] == "of-the-test" and answer["allowed"], answer
patch = json.dumps(json.loads(base64.b64decode(answer["patch"])))
assert "registry.example/gitvolume-syncer:1" in patch, patch
END
echo "linux/$arch: the webhook has patched a Pod"
