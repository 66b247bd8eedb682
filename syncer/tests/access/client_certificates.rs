//! A server that requires a client certificate.

use remotes::HttpServer;

use crate::access::once;
use crate::access::world;
use crate::access::write;
use crate::world::LAYOUTS;
use crate::world::World;
use crate::world::eventually;

/// The Secret's keys for the certificate, its key and the server's CA: of type `kubernetes.io/tls`,
/// of Flux, of Argo CD.
const NAMES: [[&str; 3]; 3] = [
    ["tls.crt", "tls.key", "ca.crt"],
    ["certFile", "keyFile", "caFile"],
    ["tlsClientCertData", "tlsClientCertKey", "ca.crt"],
];

#[test]
fn the_secrets_client_certificate_is_used_with_any_known_key_names() {
    for [certificate, key, ca] in NAMES {
        for layout in [LAYOUTS[0], LAYOUTS[1], "clone"] {
            let world = World::new(layout);
            world.repo.commit().write("a", "1").push();
            let root = world.repo.path().parent().unwrap();
            let (server, client) = HttpServer::start_tls_for_a_client(root);
            let secret = world.path("secret");
            write(&secret.join(ca), &server.ca_pem());
            let run = || {
                let syncer = once(world.syncer_of(&server.url("site.git")));
                syncer.flag("secret-dir", &secret).finish()
            };
            // git may only see a closed connection.
            run().assert_code(1);
            write(&secret.join(certificate), &client.certificate);
            let half = run();
            half.assert_code(1);
            assert!(half.log.contains("the syncer uses neither"), "{}", half.log);
            write(&secret.join(key), &client.key);
            run().assert_code(0);
            assert_eq!(world.read("a").as_deref(), Some("1"), "{layout}");
        }
    }
}

#[test]
fn a_changed_client_certificate_is_used_and_disables_the_poller() {
    let world = world();
    let root = world.repo.path().parent().unwrap();
    let (server, client) = HttpServer::start_tls_for_a_client(root);
    let (_, other) = HttpServer::start_tls_for_a_client(root);
    let secret = world.path("secret");
    write(&secret.join("ca.crt"), &server.ca_pem());
    write(&secret.join("tls.crt"), &other.certificate);
    write(&secret.join("tls.key"), &other.key);
    let syncer = world.syncer_of(&server.url("site.git"));
    let running = syncer.flag("secret-dir", &secret).start(&world.path("log"));
    running.eventually_logs("error syncing repo");
    write(&secret.join("tls.crt"), &client.certificate);
    write(&secret.join("tls.key"), &client.key);
    let commit = world.repo.commit().write("a", "2").push();
    world.eventually_published(&commit);
    eventually("the poller is off", || {
        let log = running.log();
        let line = log.lines().find(|line| line.contains("polling is off"))?;
        line.contains("http.sslcert").then_some(())
    });
}
