#!/usr/bin/env bash
# Takes the pictures in docs/images of the dashboard, the alerts and the status page: starts the programs that
# they show, and waits until there are metrics.
#
#   tests/tools/pictures/run.sh [MINUTES]
#
# Real are the API server with its etcd, the chart's objects in it, two replicas of the webhook with the rights
# of the chart's ServiceAccount, Prometheus, a git server and the syncer. There is no node: the Pods are dry
# runs. Everything is ended and removed at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

minutes=${1:-10}
here=$PWD/tests/tools/pictures
built=$PWD/target/dist
site=$PWD/target/pictures
export PATH=$PWD/target/tools/bin:$PATH
namespace=gitvolume-system
# Ports of 127.0.0.1.
etcd=17379 peer=17380 api=17443 balancer=17250 replicas=(17251 17252) admins=(17261 17262)
git=17080 syncer=17300 prometheus=17090

world=$(mktemp -d)
declare -A pids
# Without etcd, the API server would wait for it for ever.
trap 'set +e; kill -KILL "${pids[kube-apiserver]}" 2>/dev/null; kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$world"' EXIT

# Starts a program with its output in a file.
start() {
  local name=$1
  shift
  "$@" >>"$world/$name.log" 2>&1 &
  pids[$name]=$!
}

# Fails, with the end of its output, if a program has ended.
check_programs() {
  local name
  for name in "${!pids[@]}"; do
    kill -0 "${pids[$name]}" 2>/dev/null && continue
    echo "$name has ended:" >&2
    tail -n 5 "$world/$name.log" >&2
    return 1
  done
}

# Waits until a command succeeds, at most two minutes, while all programs run.
await() {
  for _ in {1..240}; do
    ! "$@" >"$world/await.log" 2>&1 || return 0
    check_programs
    sleep 0.5
  done
  echo "not within two minutes: $*" >&2
  tail -n 5 "$world"/*.log >&2
  return 1
}

control_plane() {
  start etcd etcd --data-dir="$world/etcd" --log-level=warn --unsafe-no-fsync \
    --listen-client-urls=http://127.0.0.1:$etcd --advertise-client-urls=http://127.0.0.1:$etcd \
    --listen-peer-urls=http://127.0.0.1:$peer --initial-advertise-peer-urls=http://127.0.0.1:$peer \
    --initial-cluster=default=http://127.0.0.1:$peer
  openssl genrsa -out "$world/key.pem" 2048 2>/dev/null
  openssl rsa -in "$world/key.pem" -pubout -out "$world/key.pub" 2>/dev/null
  echo 'admin-token,admin,admin,"system:masters"' >"$world/tokens.csv"
  start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:$etcd --secure-port=$api \
    --bind-address=127.0.0.1 --cert-dir="$world/certs" --token-auth-file="$world/tokens.csv" \
    --service-account-key-file="$world/key.pub" --service-account-signing-key-file="$world/key.pem" \
    --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=10.96.0.0/16 \
    --authorization-mode=RBAC --endpoint-reconciler-type=none --disable-admission-plugins=ServiceAccount
  await test -s "$world/certs/apiserver.crt"
  kubeconfig admin admin-token
  export KUBECONFIG=$world/admin.kubeconfig
  await kubectl get --raw /readyz
  await kubectl get namespace default
}

kubeconfig() {
  cat >"$world/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
current-context: pictures
contexts: [{name: pictures, context: {cluster: pictures, user: pictures}}]
clusters: [{name: pictures, cluster: {server: "https://127.0.0.1:$api", certificate-authority: "$world/certs/apiserver.crt"}}]
users: [{name: pictures, user: {token: "$2"}}]
END
}

# The chart's objects, with the balancer's address in place of the Service, and two namespaces with Pods.
install_chart() {
  helm install gitvolume charts/gitvolume --namespace $namespace --create-namespace \
    --set autoInject.failurePolicy=Ignore >"$world/helm.log"
  kubectl get mutatingwebhookconfiguration gitvolume -o json | node -e "
    const registration = JSON.parse(require('fs').readFileSync(0));
    for (const { clientConfig } of registration.webhooks) {
      clientConfig.url = 'https://127.0.0.1:$balancer' + clientConfig.service.path;
      delete clientConfig.service;
    }
    console.log(JSON.stringify(registration));" | kubectl replace -f - >/dev/null
  kubectl get configmap gitvolume --namespace $namespace -o 'jsonpath={.data.settings\.yaml}' >"$world/settings.yaml"
  kubeconfig webhook "$(kubectl create token gitvolume --namespace $namespace)"
  kubectl create namespace web >/dev/null
  kubectl apply -f examples/auto-injection/ >/dev/null 2>&1 || kubectl apply -f examples/auto-injection/ >/dev/null
}

replicas_start() {
  for replica in 0 1; do
    start "webhook-$replica" env KUBECONFIG="$world/webhook.kubeconfig" "$built/gitvolume-webhook" \
      --listen=127.0.0.1:"${replicas[replica]}" --admin-listen=127.0.0.1:"${admins[replica]}" \
      --tls=cluster --tls-name=127.0.0.1 --secret-name=gitvolume-ca --webhook-configuration=gitvolume \
      --namespace=$namespace --watch-namespaces --watch-objects --config="$world/settings.yaml" \
      --syncer-image=gitvolume.dev/gitvolume-syncer:pictures --drain-delay=0s --max-connection-age=5s
    await curl --fail --silent http://127.0.0.1:"${admins[replica]}"/readyz
  done
}

replicas_stop() {
  kill "${pids[webhook-0]}" "${pids[webhook-1]}"
  wait "${pids[webhook-0]}" "${pids[webhook-1]}" || true
  unset 'pids[webhook-0]' 'pids[webhook-1]'
}

commit() {
  date >"$world/git/$1/page"
  git -C "$world/git/$1" add page
  git -C "$world/git/$1" -c user.name=pictures -c user.email=pictures@localhost commit --quiet --message="page"
}

# One syncer with four repositories, the last of which the git server does not have.
syncers_start() {
  local name
  echo "repos:" >"$world/repos.yaml"
  for name in site rules policies removed; do
    printf '  %s: {repo: "http://127.0.0.1:%s/%s", ref: main, period: 5s}\n' $name $git $name >>"$world/repos.yaml"
    [[ $name != removed ]] || continue
    git init --quiet --initial-branch=main "$world/git/$name"
    commit $name
  done
  start git-http "$built/git-http" --root="$world/git" --listen=127.0.0.1:$git
  start syncer "$built/gitvolume-syncer" --config="$world/repos.yaml" --root="$world/trees" --state="$world/state" \
    --max-failures=-1 --http-bind=127.0.0.1:$syncer --http-metrics
}

# Prometheus with the chart's alerts, and with the page that draws the dashboard.
prometheus_start() {
  # Without a node nothing fails for hours, so alerts fire after 30 seconds, in the picture only.
  helm template gitvolume charts/gitvolume --namespace $namespace --set metrics.prometheusRule.enabled=true \
    --show-only templates/prometheusrule.yaml | sed '1,/^spec:/d; s/^  //' |
    sed -E 's/( for:) .*/\1 30s/' >"$world/alerts.yaml"
  cat >"$world/prometheus.yml" <<END
global: {scrape_interval: 5s, evaluation_interval: 5s}
rule_files: [alerts.yaml]
scrape_configs:
  - job_name: gitvolume-metrics
    static_configs:
      - {targets: ["127.0.0.1:${admins[0]}"], labels: {namespace: $namespace, pod: gitvolume-6d9f7c5b8-2xkqp}}
      - {targets: ["127.0.0.1:${admins[1]}"], labels: {namespace: $namespace, pod: gitvolume-6d9f7c5b8-x8r4n}}
  - job_name: apiserver
    scheme: https
    authorization: {credentials: admin-token}
    tls_config: {insecure_skip_verify: true}
    static_configs: [{targets: ["127.0.0.1:$api"]}]
  - job_name: gitvolume-syncers
    static_configs: [{targets: ["127.0.0.1:$syncer"]}]
END
  start prometheus env -C "$world" prometheus --config.file=prometheus.yml --storage.tsdb.path=data \
    --web.listen-address=127.0.0.1:$prometheus --web.user-assets="$site"
  await curl --fail --silent http://127.0.0.1:$prometheus/-/ready
}

page() {
  mkdir -p "$site/public/build"
  cp "$here"/*.html "$site/"
  if ! cmp -s "$here/package-lock.json" "$site/package-lock.json"; then
    cp "$here"/package*.json "$site/"
    (cd "$site" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || { rm "$site/package-lock.json"; return 1; }
  fi
  ln -sfn ../../node_modules/@grafana/ui/dist/public/img "$site/public/build/img"
  NODE_PATH=$site/node_modules node "$site/node_modules/esbuild/bin/esbuild" "$here/dashboard.tsx" --bundle \
    --outfile="$site/dashboard.js" --jsx=automatic --define:process.env.NODE_ENV='"production"' \
    --loader:.ttf=empty --log-level=warning
}

# Takes the picture of an address, in a window of this size, and compresses it. The pages that run scripts get
# time for them.
picture() {
  local name=$1 size=$2 address=$3 root=() scripts=()
  [[ $address != */user/* ]] || scripts=(--virtual-time-budget=15000)
  [[ $(id -u) != 0 ]] || root=(--no-sandbox)
  chromium --headless=new "${root[@]}" --user-data-dir="$world/chromium" --hide-scrollbars --window-size="$size" \
    "${scripts[@]}" --screenshot="$world/$name.png" "$address" >>"$world/chromium.log" 2>&1
  pngquant --force --strip --output "$PWD/docs/images/$name.png" "$world/$name.png"
  optipng -quiet -o5 "$PWD/docs/images/$name.png"
  ls -l "docs/images/$name.png"
}

main() {
  page
  control_plane
  install_chart
  NODE_EXTRA_CA_CERTS=$world/certs/apiserver.crt start load node "$here/load.mjs" \
    "https://127.0.0.1:$api" admin-token $balancer "${replicas[@]}"
  syncers_start
  replicas_start
  prometheus_start
  echo "for $minutes minutes: Pods are created, commits are made, and once no webhook runs" >&2
  local end=$((SECONDS + minutes * 60)) outage=$((SECONDS + minutes * 40))
  while ((SECONDS < end)); do
    sleep 12
    check_programs
    commit site
    ((RANDOM % 3)) || commit rules
    if ((outage && SECONDS > outage)); then
      outage=0
      replicas_stop
      sleep 20
      replicas_start
    fi
  done
  picture dashboard 1432,980 "http://127.0.0.1:$prometheus/user/index.html?minutes=$minutes"
  picture alerts 1200,2130 "http://127.0.0.1:$prometheus/user/alerts.html"
  picture status-page 1400,540 "http://127.0.0.1:$syncer/status"
}

main
