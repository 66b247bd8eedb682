use std::fmt::Write;

use crate::command_line::help::describe;
use crate::command_line::old_names::MEANINGLESS_FLAGS;
use crate::command_line::old_names::OLD_FLAGS;
use crate::command_line::old_names::OldFlag;
use crate::command_line::table::FLAGS;
use crate::command_line::table::Source;
use crate::command_line::value::Kind;

/// How wide the manual is; a terminal has 80 columns.
const WIDTH: usize = 78;

/// The whole manual, as plain text.
pub(crate) fn manual() -> String {
    let mut text = include_str!("manual/before.txt").to_owned();
    text.push_str("\nOPTIONS\n");
    for flag in FLAGS {
        let about = describe(flag.name);
        let value = match about.value.as_str() {
            "BOOL" => String::new(),
            value => format!(" <{value}>"),
        };
        let dashes = match (flag.name, flag.kind) {
            (_, Kind::Secret) => None,
            ("verbose", _) => Some(format!("-v, --verbose{value}")),
            (name, _) => Some(format!("--{name}{value}")),
        };
        let variable = flag.env.map(|env| format!("${env}"));
        let spellings: Vec<String> = dashes.into_iter().chain(variable).collect();
        let _ = writeln!(text, "    {}", spellings.join(", "));
        let mut paragraph = format!("{}.", about.meaning);
        if !about.default.is_empty() && about.value != "BOOL" {
            let _ = write!(paragraph, " The default is {}.", about.default);
        } else if about.default == "true" {
            paragraph.push_str(" This is the default.");
        }
        if flag.source == Source::Ours {
            paragraph.push_str(" (git-sync does not have it.)");
        }
        wrap(&mut text, &paragraph);
        for more in more(flag.name) {
            text.push('\n');
            wrap(&mut text, more);
        }
        if !flag.old_env.is_empty() {
            let old = flag.old_env.iter().map(|name| format!("${name}"));
            let old: Vec<String> = old.collect();
            text.push('\n');
            wrap(&mut text, &format!("Formerly {}.", old.join(", ")));
        }
        text.push('\n');
    }
    text.push_str("OPTIONS OF git-sync v2 AND v3\n");
    for flag in OLD_FLAGS {
        let variable = flag.env.map_or_else(String::new, |env| format!(", ${env}"));
        let _ = writeln!(text, "    --{}{variable}", flag.name);
        wrap(&mut text, &meaning_of_old(flag));
    }
    let names = MEANINGLESS_FLAGS
        .iter()
        .map(|flag| format!("--{}", flag.name));
    let names: Vec<String> = names.collect();
    text.push_str("    --ssh, $GIT_SYNC_SSH, and the flags of v3's log\n");
    let sentence = format!(
        "Are accepted, and mean nothing any more: {}.",
        names.join(", ")
    );
    wrap(&mut text, &sentence);
    text.push('\n');
    text.push_str(include_str!("manual/after.txt"));
    text
}

fn meaning_of_old(flag: &OldFlag) -> String {
    let instead = flag.instead.unwrap_or_default();
    match flag.name {
        "branch" | "rev" => "Means --ref, over which it wins. Of the two only one may be given, \
                             unless the revision is HEAD."
            .to_owned(),
        "change-permissions" => {
            "Is no longer supported, and refused unless it is 0; see --group-write.".to_owned()
        }
        "password" => "Means $GITSYNC_PASSWORD, over which it wins. Everyone who may list \
                       processes can read it."
            .to_owned(),
        "timeout" | "wait" => {
            format!("Means --{instead}, in seconds, over which it wins unless it is 0.")
        }
        _ => format!("Means --{instead}, over which it wins."),
    }
}

/// Writes a paragraph below an option.
fn wrap(text: &mut String, paragraph: &str) {
    const INDENT: &str = "            ";
    let mut line = INDENT.to_owned();
    for word in paragraph.split_whitespace() {
        if line.len() > INDENT.len() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                text.push_str(&line);
                text.push('\n');
                INDENT.clone_into(&mut line);
            } else {
                line.push(' ');
            }
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// What is to be said of a flag beyond one sentence, a paragraph each.
fn more(flag: &str) -> &'static [&'static str] {
    match flag {
        "add-user" => &[
            "ssh wants its user to have a line there. It is not needed for ssh under an arbitrary \
             user where the image is ours; /etc/passwd must be writable.",
        ],
        "askpass-url" => &[
            "It answers within a second with status 200 and the lines username=… and password=…, \
             which are used for --repo alone. Redirects are not followed.",
        ],
        "ca-bundle" => &[
            "Comments between the certificates are passed over. The file of http.sslCAInfo, or of \
             $GIT_SSL_CAINFO, takes the place of these and of the system's.",
        ],
        "config" => &[
            "It is {\"repos\": {NAME: ENTRY, …}}; the keys of an entry are the flags' \
             names without dashes, and what an entry does not say is as the flags beside the file \
             say it. The process's own flags (--add-user, --git, --group-write, --http-…, \
             --max-git-processes, --no-poller, --sync-on-signal, --verbose) have no place in it.",
        ],
        "credential" => &[
            "One object or a list of them: {\"url\": …, \"username\": …, \"password-file\": …}, or \
             \"password\" in place of the file. The URL says where it is used, for instance for \
             submodules on another server; a file is read at each sync. More than one may be \
             given, and those of the command line are added to those of the variable.",
        ],
        "default-known-hosts" => &[
            "It changes nothing where --secret-dir has a known_hosts or --ssh-known-hosts-file is \
             there, nor with --ssh-known-hosts=false.",
        ],
        "depth" => &[
            "It holds for submodules too. Where a consumer compares revisions, it needs more than \
             one commit.",
        ],
        "error-file" => &[
            "JSON with the keys Msg, Err and Args; what is wrong with the command line, the \
             environment or the configuration is written as a plain sentence.",
        ],
        "exechook-command" => &[
            "It runs in the published tree, with the commit in $GITSYNC_HASH and the one before it \
             in $GITSYNC_OLD_HASH. It is run again until it succeeds, also once after each start, \
             and so must be idempotent; while it fails, newer revisions take the place of older \
             ones.",
        ],
        "filter" => {
            &["What is left out is fetched when it is needed. It is not passed on to submodules."]
        }
        "git" => {
            &["A path, or a name that is found in $PATH. Our own polling is off if it is set."]
        }
        "git-config" => &[
            "Keys and values may be quoted with \"; a key that has a colon in it must be, and so \
             must a value with a comma. In quotes and in values \\n, \\t, \\\", \\, and \\\\ stand \
             for a newline, a tab and the sign itself.",
        ],
        "git-gc" => {
            &["aggressive is git gc --aggressive, always git gc, auto git gc --auto, off nothing."]
        }
        "github-app-application-id" | "github-app-client-id" => &[
            "One of both IDs, with --github-app-installation-id and the private key, lets \
             --repo be read by a token that is renewed as it expires.",
        ],
        "group-write" => &["Directories are 0775 then and files 0664, in place of 0755 and 0644."],
        "http-bind" => &["What it answers is said under HTTP below."],
        "layout" => &[
            "link is git-sync's: --link points to the tree of the revision, which has a working \
             .git. projected is a ConfigMap volume's: the entries appear at the root itself, \
             without .git, and git's own files are in --state. clone is a gitRepo volume's: a real \
             clone with all its history and no submodules, made once in the root, or in --link \
             below it, and never touched again; --ref may then be whatever git can check out.",
        ],
        "link" => &[
            "Its target changes in one step, and the last part of the target's path is the full \
             commit hash. Consume the files through it alone.",
        ],
        "max-failures" => &["With 0, and with 1, the first failure ends the program."],
        "no-poller" => &[
            "While nothing changes, the syncer asks the remote over one kept connection and starts \
             no process. It does so only where all of git's configuration is understood; \
             everything else is git's own work in any case.",
        ],
        "password-file" => &["It goes with --username."],
        "pre-publish-exechook-command" => {
            &["It runs in the new tree, beside its publication: it neither delays nor prevents it."]
        }
        "ref" => &[
            "A short hash is none. With a full hash there is nothing to follow once it is \
             published.",
        ],
        "repo" => &[
            "https://, http://, ssh://, user@host:path, file:// or an absolute path. A user and a \
             password in an http(s) address are taken out of it and used as credentials; \
             --password-file is better.",
        ],
        "root" => &[
            "It is made if it is not there, and need not be empty: what is not ours is left alone.",
        ],
        "sparse-checkout" => &["It cannot be given beside --sparse-checkout-file."],
        "sparse-checkout-file" => {
            &["It is read at each sync; its patterns are those of .gitignore."]
        }
        "ssh-key-file" => &[
            "The variable separates several by colons; one on the command line replaces all of \
             the variable. They are tried in order.",
        ],
        "ssh-known-hosts-file" => {
            &["It is needed unless --ssh-known-hosts=false; ssh-keyscan HOST writes one."]
        }
        "stale-worktree-timeout" => &[
            "Whoever still reads the old tree may finish. With 0 it goes as soon as the new one is \
             published.",
        ],
        "subdir" => &[
            "It needs --layout=projected. A revision without it, or where it or a directory on the \
             way to it is a symlink, is a failure, and the last one stays. Without patterns of \
             one's own, nothing else is checked out. Hooks run in it.",
        ],
        "submodules" => &["shallow is one level deep, whatever --depth is."],
        "sync-on-signal" => &["A signal that comes during a sync makes another follow it."],
        "touch-file" => &["It is also touched after the first success of each process."],
        "username" => &["It goes with $GITSYNC_PASSWORD or --password-file."],
        "webhook-url" => &[
            "The call has an empty body and the headers Gitsync-Hash, Gitsync-Old-Hash and \
             Gitsync-Repo. It is repeated until it succeeds, as the exechook is.",
        ],
        _ => &[],
    }
}
