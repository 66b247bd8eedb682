//! A user name of the flags with a password from another source.

use std::fs;

use crate::access::PASSWORD;
use crate::access::once;
use crate::access::server_for;
use crate::access::world;
use crate::access::write;

#[test]
fn a_user_name_of_the_flags_is_combined_with_the_secrets_password() {
    let world = world();
    let server = server_for(&world, "bot", PASSWORD);
    let secret = world.path("secret");
    write(&secret.join("token"), PASSWORD);
    for url in [
        server.url("site.git"),
        format!("http://acme@{}/site.git", server.address()),
    ] {
        let _ = fs::remove_dir_all(world.root());
        // git-sync v3's name of the variable.
        let syncer = once(world.syncer_of(&url)).env("GIT_SYNC_USERNAME", "bot");
        let run = syncer.flag("secret-dir", &secret).finish();
        run.assert_code(0);
        assert_eq!(world.read("a").as_deref(), Some("1"));
    }
}

#[test]
fn a_user_and_password_in_the_address_override_a_user_name_of_the_flags() {
    let world = world();
    let server = server_for(&world, "acme", PASSWORD);
    let url = format!("http://acme:{PASSWORD}@{}/site.git", server.address());
    let syncer = once(world.syncer_of(&url)).env("GIT_SYNC_USERNAME", "bot");
    syncer.finish().assert_code(0);
}
