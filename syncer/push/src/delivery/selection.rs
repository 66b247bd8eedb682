//! The repositories that a delivery wakes.

use args::wake;
use args::wake::Wake;
use url::Url;

/// The repositories below `prefixes` that a payload names by `addresses`.
///
/// A prefix at whose host the payload names no repository is woken as a whole: a payload that could
/// not be read has no address, and a git host may report another address than the one that is
/// followed, such as its public name, or http(s) alone. That costs a poll for each repository that is
/// followed below the prefix.
pub fn wake_of(prefixes: &[Url], addresses: &[Url]) -> Wake {
    let is_allowed = |address: &Url| {
        let mut prefixes = prefixes.iter();
        prefixes.any(|prefix| wake::is_below(address, prefix))
    };
    let is_unnamed = |prefix: &Url| {
        let mut addresses = addresses.iter();
        !addresses.any(|address| wake::is_same_host(address, prefix))
    };
    let all_allowed = addresses.iter().filter(|address| is_allowed(address));
    let all_unnamed = prefixes.iter().filter(|prefix| is_unnamed(prefix));
    Wake {
        repositories: all_allowed.cloned().collect(),
        prefixes: all_unnamed.cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(texts: &[&str]) -> Vec<Url> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[track_caller]
    fn assert_woken(prefixes: &[&str], addresses: &[&str], repositories: &[&str], whole: &[&str]) {
        let expected = Wake {
            repositories: urls(repositories),
            prefixes: urls(whole),
        };
        assert_eq!(wake_of(&urls(prefixes), &urls(addresses)), expected);
    }

    const GITHUB: [&str; 2] = [
        "https://github.com/acme/site.git",
        "ssh://github.com/acme/site.git",
    ];

    #[test]
    fn a_payload_wakes_the_repository_that_it_names_below_a_prefix() {
        assert_woken(&["https://github.com/acme"], &GITHUB, &GITHUB[..1], &[]);
        assert_woken(
            &["https://github.com/acme", "ssh://github.com/acme"],
            &GITHUB,
            &GITHUB,
            &[],
        );
        assert_woken(
            &["https://github.com/acme/site"],
            &GITHUB,
            &GITHUB[..1],
            &[],
        );
    }

    #[test]
    fn a_payload_wakes_nothing_outside_of_the_prefixes() {
        assert_woken(&["https://github.com/acm"], &GITHUB, &[], &[]);
        assert_woken(&["https://github.com/acme/site-b"], &GITHUB, &[], &[]);
        assert_woken(&["https://github.com/another"], &GITHUB, &[], &[]);
    }

    #[test]
    fn a_payload_without_a_repository_wakes_all_prefixes() {
        let prefixes = ["https://github.com/acme", "ssh://github.com/acme"];
        assert_woken(&prefixes, &[], &[], &prefixes);
    }

    #[test]
    fn a_prefix_at_another_host_than_the_payloads_is_woken_as_a_whole() {
        let inside = "http://gitea.gitea.svc:3000/acme";
        assert_woken(
            &[inside],
            &["https://git.example/acme/site.git"],
            &[],
            &[inside],
        );
        // Bitbucket Cloud reports no ssh address.
        let prefixes = ["https://bitbucket.org/acme", "ssh://bitbucket.org/acme"];
        let page = "https://bitbucket.org/acme/site";
        assert_woken(&prefixes, &[page], &[page], &prefixes[1..]);
    }
}
