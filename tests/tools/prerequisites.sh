#!/usr/bin/env bash
# Makes sure that Debian's programs which a make target starts are installed.
#
#   tests/tools/prerequisites.sh demo|test|test-cluster|images-arm64|pictures
#
# As root on Debian (or a child of it) the missing ones are installed, without starting any daemon;
# anybody else gets the command to run. When all is there, it only looks at files.
set -euo pipefail

# A file that proves the package is there (several choices separated by |), the package, and the target
# that needs it; test and test-cluster need what is listed before them, too.
table() {
  local all
  all=$(cat <<'END'
/usr/bin/git                                git             demo
/usr/bin/ssh                                openssh-client  test
/usr/sbin/sshd                              openssh-server  test
/usr/bin/unshare                            util-linux      test
/usr/bin/openssl                            openssl         test
/usr/bin/ps|/bin/ps                         procps          test
/usr/lib/*/libnss_wrapper.so                libnss-wrapper  test-cluster
/etc/ssl/certs/ca-certificates.crt          ca-certificates test-cluster
/usr/sbin/nginx                             nginx           test-cluster
/usr/sbin/haproxy                           haproxy         test-cluster
/bin/busybox|/usr/bin/busybox               busybox-static  test-cluster
/usr/bin/gcc                                gcc             test-cluster
/usr/lib/*/libc.a                           libc6-dev       test-cluster
/usr/bin/pkg-config                         pkg-config      test-cluster
/usr/include/seccomp.h                      libseccomp-dev  test-cluster
/usr/sbin/iptables|/sbin/iptables           iptables        test-cluster
/usr/sbin/ip|/sbin/ip|/usr/bin/ip|/bin/ip   iproute2        test-cluster
/usr/bin/curl                               curl            test-cluster
/usr/bin/socat                              socat           test-cluster
/usr/bin/hugo                               hugo            test-cluster
/usr/bin/prometheus                         prometheus      test-cluster
/usr/sbin/mkfs.xfs|/sbin/mkfs.xfs             xfsprogs        test-cluster
/usr/bin/aarch64-linux-gnu-gcc              gcc-aarch64-linux-gnu images-arm64
/usr/aarch64-linux-gnu/lib/libc.a           libc6-dev-arm64-cross images-arm64
/usr/bin/qemu-aarch64-static|/usr/bin/qemu-aarch64 qemu-user-static images-arm64
/usr/bin/zstd                               zstd            images-arm64
/usr/bin/python3                            python3-minimal images-arm64
/usr/bin/curl                               curl            images-arm64
/usr/bin/unshare                            util-linux      images-arm64
/usr/bin/git                                git             pictures
/usr/bin/openssl                            openssl         pictures
/usr/bin/curl                               curl            pictures
/usr/bin/prometheus                         prometheus      pictures
/usr/bin/chromium                           chromium        pictures
/usr/share/fonts/opentype/inter             fonts-inter     pictures
/usr/bin/pngquant                           pngquant        pictures
/usr/bin/optipng                            optipng         pictures
/usr/bin/node|/usr/local/bin/node           nodejs          pictures
/usr/bin/npm|/usr/local/bin/npm             npm             pictures
END
)
  case $1 in
    demo) grep ' demo$' <<<"$all" ;;
    test) grep -E ' (demo|test)$' <<<"$all" ;;
    test-cluster) grep -Ev ' (images-arm64|pictures)$' <<<"$all" ;;
    images-arm64 | pictures) grep " $1\$" <<<"$all" ;;
  esac
}

missing() {
  local proofs package target
  while read -r proofs package target; do
    # The choices are patterns without blanks, so the splitting is meant.
    # shellcheck disable=SC2086
    any ${proofs//|/ } || echo "$package"
  done < <(table "$1")
}

any() { local f; for f in "$@"; do [[ ! -e $f ]] || return 0; done; return 1; }

install() {
  # nginx, sshd and prometheus are wanted as programs: policy-rc.d with 101 keeps their packages from starting
  # them, and what was there before comes back, whatever happens.
  local policy=/usr/sbin/policy-rc.d
  if [[ -e $policy ]]; then
    mv "$policy" "$policy.gitvolume"
    trap 'mv -f /usr/sbin/policy-rc.d.gitvolume /usr/sbin/policy-rc.d' EXIT
  else
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"

  export DEBIAN_FRONTEND=noninteractive
  # An index that was never fetched, or is too old to be served from, is renewed once.
  if ! apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1; then
    apt-get update >/dev/null
    apt-get install -y --no-install-recommends "$@"
  fi
}

main() {
  local mode=${1:-}
  [[ $mode =~ ^(demo|test|test-cluster|images-arm64|pictures)$ ]] || { echo "usage: tests/tools/prerequisites.sh demo|test|test-cluster|images-arm64|pictures" >&2; exit 2; }
  local packages
  mapfile -t packages < <(missing "$mode")
  [[ ${#packages[@]} -gt 0 ]] || exit 0

  if [[ $(id -u) != 0 || ! -e /etc/debian_version ]]; then
    echo "make $mode needs programs that are not here; on Debian run: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
  echo "installing ${packages[*]}" >&2
  install "${packages[@]}"
  mapfile -t packages < <(missing "$mode")
  [[ ${#packages[@]} -eq 0 ]] || { echo "still missing after the installation: ${packages[*]}" >&2; exit 1; }
}

main "$@"
