//! Flags that may hold a secret, and the secrets in their values: one list for the log, for error
//! messages, and for the environment that git and hooks inherit.

use crate::Password;
use crate::RepoArgs;
use crate::Secret;
use crate::address::mask::address_secrets;
use crate::flags::FLAGS;
use crate::flags::find;
use crate::flags::kind::Kind;

/// Flags whose values may contain a secret: addresses, and git's headers.
const MAY_HOLD_SECRETS: [&str; 8] = [
    "askpass-url",
    "credential",
    "git-config",
    "git-config-add",
    "github-base-url",
    "password",
    "repo",
    "webhook-url",
];

/// Whether a value of this flag may contain a secret and must not be printed.
pub fn is_secret(flag: &str) -> bool {
    let is_kind = |flag: &str| find(flag).is_some_and(|flag| flag.kind == Kind::Secret);
    MAY_HOLD_SECRETS.contains(&flag) || is_kind(flag)
}

/// The variables, legacy ones included, that set such flags.
pub fn secret_variables() -> impl Iterator<Item = &'static str> {
    let flags = FLAGS.iter().filter(|flag| is_secret(flag.name));
    flags.flat_map(|flag| flag.env).copied()
}

impl RepoArgs {
    /// The secrets among the values, for redaction.
    pub fn secrets(&self) -> Vec<String> {
        let whole = [&self.password, &self.github_app_private_key];
        let credentials = self.credential.iter().map(|own| match &own.password {
            Password::Text(text) => text.reveal(),
            Password::File(_) => "",
        });
        let called = [&self.webhook_url, &self.askpass_url];
        let called = called.into_iter().flatten().map(String::as_str);
        let addresses = (self.repo.iter().map(|repo| repo.reveal()))
            .chain(called.clone())
            .chain([self.github_base_url.as_str()])
            .chain(self.credential.iter().map(|own| own.url.as_str()))
            .chain(self.git_config.as_deref())
            .chain(self.git_config_add.iter().map(String::as_str));
        let mut secrets: Vec<String> = addresses.flat_map(address_secrets).collect();
        // Often the path of such an address is its only protection.
        let has_path = |url: &&str| {
            let rest = url.split_once("://").map_or("", |(_, rest)| rest);
            rest.split_once('/')
                .is_some_and(|(_, path)| !path.is_empty())
        };
        let whole = whole.into_iter().flatten().map(Secret::reveal);
        let whole = whole.chain(credentials).chain(called.filter(has_path));
        secrets.extend(whole.filter(|text| !text.is_empty()).map(str::to_owned));
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_secret_that_a_flag_may_hold_is_found() {
        // Public by nature.
        let public = ["ca-bundle", "cache-ca", "default-known-hosts"];
        for key in RepoArgs::FLAGS
            .iter()
            .map(|flag| flag.name)
            .filter(|key| is_secret(key))
        {
            let address = json!("https://me:hunter2@git.example/x");
            let value = match key {
                key if public.contains(&key) => continue,
                "credential" => {
                    json!([{"url": "https://git.example", "username": "me", "password": "hunter2"}])
                }
                "git-config" => json!("http.proxy:http://me:hunter2@proxy:8080"),
                "git-config-add" => json!(["http.proxy:http://me:hunter2@proxy:8080"]),
                "password" | "github-app-private-key" => json!("hunter2"),
                _ => address,
            };
            let mut args = RepoArgs::default();
            args.set_key(key, &value).unwrap();
            let secrets = args.secrets();
            assert!(
                secrets.contains(&"hunter2".to_owned()),
                "{key}: {secrets:?}"
            );
        }
    }

    #[test]
    fn the_secret_variables_of_every_version_are_known() {
        let all: Vec<_> = secret_variables().collect();
        for name in [
            "GITSYNC_PASSWORD",
            "GIT_SYNC_PASSWORD",
            "GITSYNC_CONFIG_INLINE",
            "GITSYNC_CREDENTIAL",
            "GITSYNC_GITHUB_APP_PRIVATE_KEY",
            "GITSYNC_WEBHOOK_URL",
            "GIT_ASKPASS_URL",
            "GIT_SYNC_REPO",
        ] {
            assert!(all.contains(&name), "{name}");
        }
        assert!(!all.contains(&"GITSYNC_PASSWORD_FILE"));
    }
}
