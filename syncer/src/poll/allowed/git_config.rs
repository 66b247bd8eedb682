use args::RepoKind;

use crate::poll::allowed::setting::Setting;
use crate::remote::auth;

/// Sections of git-config(1) that change neither the remote nor the credentials.
const SECTIONS: [&str; 46] = [
    "advice",
    "alias",
    "am",
    "apply",
    "author",
    "branch",
    "checkout",
    "clone",
    "color",
    "column",
    "commit",
    "commitgraph",
    "committer",
    "diff",
    "extensions",
    "feature",
    "fetch",
    "filter",
    "format",
    "fsck",
    "gc",
    "gpg",
    "grep",
    "gui",
    "help",
    "index",
    "init",
    "lfs",
    "log",
    "maintenance",
    "merge",
    "pack",
    "pull",
    "push",
    "receive",
    "repack",
    "safe",
    "sequence",
    "stash",
    "status",
    "submodule",
    "tag",
    "trace2",
    "transfer",
    "uploadpack",
    "user",
];

/// Single keys that change neither, whatever their value.
const KEYS: [&str; 41] = [
    "core.abbrev",
    "core.attributesfile",
    "core.autocrlf",
    "core.bare",
    "core.bigfilethreshold",
    "core.checkstat",
    "core.commitgraph",
    "core.compression",
    "core.deltabasecachelimit",
    "core.eol",
    "core.excludesfile",
    "core.filemode",
    "core.fsmonitor",
    "core.fsync",
    "core.fsyncmethod",
    "core.hookspath",
    "core.ignorecase",
    "core.logallrefupdates",
    "core.loosecompression",
    "core.multipackindex",
    "core.packedgitlimit",
    "core.packedgitwindowsize",
    "core.precomposeunicode",
    "core.preloadindex",
    "core.quotepath",
    "core.repositoryformatversion",
    "core.safecrlf",
    "core.sharedrepository",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.splitindex",
    "core.symlinks",
    "core.trustctime",
    "core.untrackedcache",
    "credential.usehttppath",
    "http.lowspeedlimit",
    "http.lowspeedtime",
    "http.maxrequests",
    "http.minsessions",
    "http.postbuffer",
    "http.version",
];

/// Checks the output of `git config --list -z`; the error is the first key that is not on the list.
pub(super) fn judge(listed: &str, kind: RepoKind) -> Result<(), Setting> {
    for entry in listed.split_terminator('\0') {
        let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        if !is_allowed(key, value, kind) {
            return Err(Setting::of(key));
        }
    }
    Ok(())
}

fn is_allowed(key: &str, value: &str, kind: RepoKind) -> bool {
    let section = key.split('.').next().unwrap_or_default();
    // They may contain a password, which only http uses.
    let is_https = matches!(section, "http" | "credential");
    SECTIONS.contains(&section)
        || KEYS.contains(&key)
        || kind == RepoKind::Ssh && is_https
        || match key {
            // Set by the syncer.
            "core.askpass" => value == "true",
            "credential.helper" => auth::is_our_helper(value),
            // The default value.
            "http.followredirects" => value == "initial",
            // It is in the credentials: only the syncer and the user's own keys set it.
            "http.sslcainfo" => true,
            "http.sslverify" => matches!(value, "true" | "yes" | "on" | "1"),
            "protocol.http.allow" | "protocol.https.allow" | "protocol.ssh.allow" => {
                value == "always"
            }
            // Such a remote is never polled, but submodules may use it.
            "protocol.file.allow" => true,
            "protocol.version" => matches!(value, "0" | "1" | "2"),
            "ssh.variant" => value == "ssh",
            // git names the remote by its address; one called `origin` is for consumers.
            _ if key.starts_with("remote.origin.") => true,
            // git's own notes about a partial clone, which polls do not use.
            _ if section == "remote" => {
                key.ends_with(".promisor") || key.ends_with(".partialclonefilter")
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(pairs: &[(&str, &str)]) -> String {
        let entries = pairs.iter().map(|(key, value)| format!("{key}\n{value}\0"));
        entries.collect()
    }

    #[test]
    fn the_syncers_own_configuration_is_on_the_list() {
        let ours = listed(&[
            ("safe.directory", "*"),
            ("gc.autodetach", "false"),
            ("maintenance.autodetach", "false"),
            ("gc.pruneexpire", "now"),
            ("user.name", "gitvolume"),
            ("user.email", "gitvolume@localhost"),
            ("core.askpass", "true"),
            ("http.lowspeedlimit", "1"),
            ("http.lowspeedtime", "120"),
            ("http.sslcainfo", "/private/ca.crt"),
            ("core.repositoryformatversion", "0"),
            ("core.filemode", "true"),
            ("core.bare", "false"),
            ("core.logallrefupdates", "true"),
            ("extensions.worktreeconfig", "true"),
            ("remote.origin.url", "https://git.example/x"),
            ("remote.https://git.example/x.promisor", "true"),
            (
                "remote.https://git.example/x.partialclonefilter",
                "blob:none",
            ),
            ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
            ("protocol.version", "2"),
            ("protocol.file.allow", "always"),
            ("protocol.https.allow", "always"),
            ("http.followredirects", "initial"),
        ]);
        assert_eq!(judge(&ours, RepoKind::Http), Ok(()));
        assert_eq!(judge("", RepoKind::Http), Ok(()));
        assert_eq!(judge("core.bare\0", RepoKind::Http), Ok(()));
    }

    #[test]
    fn unsupported_settings_are_named() {
        for (key, value) in [
            (
                "url.https://mirror.example/.insteadof",
                "https://git.example/",
            ),
            ("http.extraheader", "Authorization: Bearer x"),
            ("http.https://git.example/.extraheader", "X: y"),
            ("http.https://git.example/.lowspeedlimit", "1"),
            ("http.proxy", "http://proxy.example:3128"),
            ("http.cookiefile", "/x"),
            ("http.sslverify", "false"),
            ("http.sslcert", "/x"),
            ("http.followredirects", "true"),
            ("http.useragent", "x"),
            ("http.unknown", "x"),
            ("credential.helper", "store"),
            ("credential.helper", ""),
            ("credential.https://git.example.username", "me"),
            ("core.askpass", "/bin/mine"),
            ("core.sshcommand", "ssh -v"),
            ("core.gitproxy", "x"),
            ("core.unknown", "x"),
            ("include.path", "/x"),
            ("includeif.gitdir:/x/.path", "/x"),
            ("protocol.https.allow", "never"),
            ("protocol.version", "3"),
            ("remote.https://git.example/x.proxy", "http://p"),
            ("ssh.variant", "plink"),
            ("unknown.key", "x"),
        ] {
            let judged = judge(&listed(&[(key, value)]), RepoKind::Http);
            assert_eq!(judged, Err(Setting::of(key)), "{key}");
        }
    }

    #[test]
    fn over_ssh_the_keys_of_http_do_not_matter() {
        let http = listed(&[("http.extraheader", "x"), ("credential.helper", "store")]);
        assert_eq!(judge(&http, RepoKind::Ssh), Ok(()));
        let ssh = listed(&[("core.sshcommand", "x")]);
        assert!(judge(&ssh, RepoKind::Ssh).is_err());
    }

    #[test]
    fn the_lists_are_in_order_and_in_lower_case() {
        assert!(SECTIONS.is_sorted() && KEYS.is_sorted());
        let all = SECTIONS.iter().chain(&KEYS);
        assert!(all.into_iter().all(|key| *key == key.to_lowercase()));
    }
}
