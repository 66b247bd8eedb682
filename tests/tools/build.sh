#!/usr/bin/env bash
# Builds the Kubernetes programs that the tests run, from the Go modules pinned beside this file,
# into target/tools/bin.
#
#   tests/tools/build.sh            all of them (about 15 minutes on two cores, once)
#   tests/tools/build.sh NAME…      only those, e.g. `etcd kube-apiserver kubectl`
#
# What is up to date is skipped: each program's stamp is the hash of its module's go.mod, go.sum and
# own files, of its line below and of how it is built. Go's own caches stay where Go keeps them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${GITVOLUME_TOOLS:-$(cd "$here/../.." && pwd)/target/tools}
# The newest minor that the tests run on, and the oldest one that we support.
KUBERNETES=v1.36.3
OLDEST=v1.33.13

# Program, module folder, package; the slow ones first. The order is the build order.
table() {
  local k=k8s.io/kubernetes/cmd c=github.com/containerd/containerd/v2/cmd
  local n=github.com/containernetworking/plugins/plugins
  cat <<END
kube-apiserver          .          $k/kube-apiserver
kube-apiserver-oldest   oldest     $k/kube-apiserver
containerd              containerd $c/containerd
kube-controller-manager .          $k/kube-controller-manager
etcd                    etcd       go.etcd.io/etcd/server/v3
kubelet                 .          $k/kubelet
kube-proxy              .          $k/kube-proxy
kubectl                 .          $k/kubectl
kube-scheduler          .          $k/kube-scheduler
containerd-shim-runc-v2 containerd $c/containerd-shim-runc-v2
ctr                     containerd $c/ctr
runc                    runc       github.com/opencontainers/runc
bridge                  cni        $n/main/bridge
host-local              cni        $n/ipam/host-local
loopback                cni        $n/main/loopback
helm                    helm       helm.sh/helm/v4/cmd/helm
kubeconform             helm       github.com/yannh/kubeconform/cmd/kubeconform
jv                      jsonschema github.com/santhosh-tekuri/jsonschema/cmd/jv
opa                     opa        github.com/open-policy-agent/opa
gitea                   gitea      code.gitea.io/gitea
cert-manager            cert-manager .
END
}

# Without a version kube-apiserver calls itself v0.0.0-master+$Format and kubectl and helm refuse it.
linker_flags() {
  local flags="-s -w" v=k8s.io/component-base/version
  if [[ $1 == . || $1 == oldest ]]; then
    local release=$KUBERNETES minor
    [[ $1 == . ]] || release=$OLDEST
    minor=${release#v1.}
    flags+=" -X $v.gitVersion=$release -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*}"
    flags+=" -X $v.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=$release"
  elif [[ $2 == runc ]]; then
    flags+=" -X main.version=$(version_of runc github.com/opencontainers/runc) -linkmode external -extldflags -static"
  elif [[ $2 == gitea ]]; then
    flags+=" -linkmode external -extldflags -static"
  elif [[ $1 == containerd ]]; then
    flags+=" -X github.com/containerd/containerd/v2/version.Version=$(version_of containerd github.com/containerd/containerd/v2)"
  elif [[ $2 == helm ]]; then
    flags+=" -X helm.sh/helm/v4/internal/version.version=$(version_of helm helm.sh/helm/v4)"
  fi
  echo "$flags"
}

# The version that a module folder's go.mod requires of a module.
version_of() { grep -oP "(^|\\s)\Q$2\E \Kv\S+" "$here/$1/go.mod"; }

stamp_of() {
  cat "$here/$2/go.mod" "$here/$2/go.sum" $(ls "$here/$2"/*.go 2>/dev/null) <(echo "$1 $3 $(linker_flags "$2" "$1")") <(declare -f build) <(go env GOVERSION GOARCH) |
    sha256sum | cut -d' ' -f1
}

build() {
  local name=$1 module=$2 package=$3 cgo=0 tags=
  case $name in
    # The runc without its seccomp tag fails every container that asks for RuntimeDefault.
    runc) cgo=1 tags=seccomp,netgo,osusergo ;;
    gitea) cgo=1 tags=sqlite,sqlite_unlock_notify,sqlite_omit_load_extension,netgo,osusergo ;;
  esac
  (cd "$here/$module" && CGO_ENABLED=$cgo GOFLAGS=-mod=readonly GOWORK=off \
    go build -trimpath -buildvcs=false -tags "$tags" -ldflags "$(linker_flags "$module" "$name")" \
    -o "$out/bin/.$name.new" "$package")
  if [[ $name == gitea ]]; then
    # What it reads at run time, beside its program.
    local source=$(cd "$here/$module" && go list -m -f '{{.Dir}}' code.gitea.io/gitea)
    mkdir -p "$out/share/gitea"
    cp -r --no-preserve=mode "$source"/{templates,options,public} "$out/share/gitea/"
  fi
  mv "$out/bin/.$name.new" "$out/bin/$name"
}

main() {
  command -v go >/dev/null || { echo "tests/tools/build.sh needs Go 1.26 or newer: https://go.dev/dl, or apt-get install golang" >&2; exit 1; }
  mkdir -p "$out/bin" "$out/stamps"
  # One builder at a time: a second one waits, then finds everything done.
  exec 9>"$out/lock"
  flock 9

  local wanted=" $* " known name module package stamp started
  known=" $(table | awk '{ printf "%s ", $1 }')"
  for name in "$@"; do
    [[ $known == *" $name "* ]] || { echo "tests/tools/build.sh knows no program $name; it knows:$known" >&2; exit 1; }
  done
  while read -r name module package <&3; do
    [[ $# -eq 0 || $wanted == *" $name "* ]] || continue
    stamp=$(stamp_of "$name" "$module" "$package")
    if [[ -x $out/bin/$name && $(cat "$out/stamps/$name" 2>/dev/null) == "$stamp" ]]; then continue; fi
    if [[ $name == runc ]] && ! pkg-config --exists libseccomp 2>/dev/null; then
      echo "runc needs libseccomp's headers: run tests/tools/prerequisites.sh test-cluster" >&2
      exit 1
    fi
    started=$SECONDS
    build "$name" "$module" "$package"
    echo "$stamp" >"$out/stamps/$name"
    echo "built $name in $((SECONDS - started)) s" >&2
  done 3< <(table)
}

main "$@"
