/// Keywords of ssh_config(5) that change neither the remote, nor the credentials, nor the trust, or
/// that the command line of git's ssh overrides. They include everything in Debian's own file.
const HARMLESS: [&str; 26] = [
    "addkeystoagent",
    "batchmode",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "escapechar",
    "exitonforwardfailure",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "hashknownhosts",
    "host",
    "ipqos",
    "loglevel",
    "passwordauthentication",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "tcpkeepalive",
    "visualhostkey",
];

/// The included files of distributions, which are checked as well.
const PARTS: &str = "/etc/ssh/ssh_config.d/*.conf";

/// Checks a configuration file of ssh; the error is the first keyword that is not on the list.
pub(super) fn judge(text: &str) -> Result<(), String> {
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let end = line.find(|c: char| c.is_whitespace() || c == '=');
        let (keyword, value) = line.split_at(end.unwrap_or(line.len()));
        let keyword = keyword.to_ascii_lowercase();
        let value = value.trim_matches(|c: char| c.is_whitespace() || c == '=');
        let is_parts = keyword == "include" && value == PARTS;
        if !is_parts && !HARMLESS.contains(&keyword.as_str()) {
            return Err(keyword);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "\
# This is the ssh client system-wide configuration file.

Include /etc/ssh/ssh_config.d/*.conf

Host *
#   ForwardAgent no
#   ProxyCommand ssh -q -W %h:%p gateway.example.com
    SendEnv LANG LC_* COLORTERM NO_COLOR
    HashKnownHosts yes
    GSSAPIAuthentication yes
";

    #[test]
    fn the_files_of_distributions_are_harmless() {
        for text in [
            "",
            "\n# nothing\n",
            DEBIAN,
            "LogLevel=ERROR\n",
            "hashknownhosts = yes\n",
        ] {
            assert_eq!(judge(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn unsupported_keywords_are_named() {
        for (text, keyword) in [
            ("Host x\n  HostName y\n", "hostname"),
            ("ProxyCommand nc %h %p\n", "proxycommand"),
            ("ProxyJump=gateway\n", "proxyjump"),
            ("IdentityFile ~/.ssh/x\n", "identityfile"),
            ("Include ~/other\n", "include"),
            ("Match final all\n", "match"),
            ("Ciphers aes128-ctr\n", "ciphers"),
            ("UserKnownHostsFile /x\n", "userknownhostsfile"),
            ("\tPort 2222\n", "port"),
            ("user\tme\n", "user"),
        ] {
            assert_eq!(judge(text), Err(keyword.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_list_is_in_order_and_in_lower_case() {
        assert!(HARMLESS.is_sorted());
        assert!(HARMLESS.iter().all(|word| *word == word.to_lowercase()));
    }
}
