// Creates Pods through a real API server, as dry runs, until it is ended: most request a repository correctly,
// some have a mistake, some are auto-injected, some match no GitVolume. Also balances the API server's
// connections over the two replicas of the webhook, as a Service does.
//
//   load.mjs API-SERVER TOKEN PORT REPLICA-PORT REPLICA-PORT
import net from 'node:net';

const [api, token, port, ...replicas] = process.argv.slice(2);

let connections = 0;
const balancer = net.createServer((client) => {
  const replica = net.connect(Number(replicas[connections++ % replicas.length]), '127.0.0.1');
  client.on('error', () => replica.destroy()).on('close', () => replica.destroy());
  replica.on('error', () => client.destroy()).on('close', () => client.destroy());
  client.pipe(replica).pipe(client);
});
balancer.listen(Number(port), '127.0.0.1');

const repo = 'https://git.example/org/site.git';
const mountPath = '/usr/share/nginx/html';
const annotated = (annotations) => ({
  namespace: 'web',
  annotations: Object.fromEntries(
    Object.entries({ repo, 'mount-path': mountPath, ...annotations }).map(([key, value]) => [`gitvolume.dev/${key}`, value])
  ),
});
const kinds = [
  [0.55, annotated({})],
  [0.05, annotated({ period: 'often' })],
  [0.03, annotated({ 'mount-path': 'html' })],
  [0.27, { namespace: 'shop', labels: { app: 'web' } }],
  [0.1, { namespace: 'shop', labels: { app: 'cache' } }],
];

async function create() {
  let at = Math.random();
  const [, { namespace, ...metadata }] = kinds.find(([share]) => (at -= share) < 0) ?? kinds[0];
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'pod-', ...metadata },
    spec: { containers: [{ name: 'nginx', image: 'nginx:1.29' }] },
  };
  const response = await fetch(`${api}/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(pod),
  });
  const answer = await response.json();
  if (!response.ok) {
    console.log(response.status, answer.message);
  }
}

const begun = Date.now();
for (;;) {
  const minute = (Date.now() - begun) / 60_000;
  // Waves, and every four minutes a large rollout.
  const perSecond = 2 + 1.5 * Math.sin(minute) + (minute % 4 > 3.5 ? 6 : 0);
  create().catch((error) => console.log(error.message));
  await new Promise((resolve) => setTimeout(resolve, 1000 / perSecond));
}
