//! The page `/status`: JSON for programs, and an HTML table for people.

use std::fmt;
use std::fmt::Write;

use jiff::Timestamp;
use serde_json::json;

use crate::observe::standing::Phase;
use crate::observe::standing::Standing;

/// The page allows nothing but its own style: no script, no image, no other origin.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"refresh\" content=\"10\">
<title>gitvolume-syncer</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }
h1 { font-size: 1.3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .5rem .8rem .5rem 0; text-align: left; vertical-align: top; }
td:first-child, .error, code { overflow-wrap: anywhere; }
code { font-size: .9em; }
small { opacity: .7; }
.error { color: #c5221f; }
@media (prefers-color-scheme: dark) { .error { color: #ff8a80; } }
</style>
</head>
<body>
<h1>gitvolume-syncer</h1>
<table>
<thead><tr><th>Repository</th><th>Ref</th><th>Commit</th><th>Published</th><th>Last success</th>\
<th>State</th><th>Poller</th><th>Last error</th></tr></thead>
<tbody>
";

/// Whether the sender of this `Accept` header is a browser: a program that accepts everything gets
/// JSON.
pub(crate) fn is_for_people(accept: &str) -> bool {
    let mut types = accept.split(',').map(|own| own.split(';').next());
    types.any(|own| own.is_some_and(|own| own.trim().eq_ignore_ascii_case("text/html")))
}

/// The page for programs: `{"repos": [{"name": …}, …]}`.
pub(crate) fn to_json(repos: &[Standing]) -> String {
    json!({ "repos": repos }).to_string()
}

/// The page for people. A browser loads it again every ten seconds.
pub(crate) fn to_html(repos: &[Standing], now: Timestamp) -> String {
    let mut page = HEAD.to_owned();
    for repo in repos {
        // Writing to a String cannot fail.
        let _ = row(&mut page, repo, now);
    }
    let _ = write!(
        page,
        "</tbody>\n</table>\n<p><small>{} \u{b7} version {}</small></p>\n</body>\n</html>\n",
        Escaped(&now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
        env!("CARGO_PKG_VERSION"),
    );
    page
}

fn row(page: &mut String, repo: &Standing, now: Timestamp) -> fmt::Result {
    let Standing {
        name,
        repo,
        r#ref,
        phase,
        published,
        last_success,
        last_error,
        failures,
        next_pass,
        poller,
        cache,
    } = repo;
    page.push_str("<tr><td>");
    if let Some(name) = name {
        write!(page, "<strong>{}</strong><br>", Escaped(name))?;
    }
    write!(page, "{}</td><td>{}</td>", Escaped(repo), Escaped(r#ref))?;
    match published {
        Some(published) => {
            write!(page, "<td><code>{}</code>", Escaped(&published.commit))?;
            if let Some(tag) = &published.tag {
                write!(page, "<br>{}", Escaped(tag))?;
            }
            write!(page, "</td><td>{}", Ago(published.since, now))?;
            if let Some(as_of) = published.as_of {
                write!(page, "<br><small>as of {as_of:.0}</small>")?;
            }
            page.push_str("</td>");
        }
        None => page.push_str("<td>none yet</td><td></td>"),
    }
    match last_success {
        Some(last) => write!(page, "<td>{}</td>", Ago(*last, now))?,
        None => page.push_str("<td>never</td>"),
    }
    write!(page, "<td>{}", phase.words())?;
    if let Some(next) = next_pass.filter(|_| *phase == Phase::Waiting) {
        let seconds = (next.as_second() - now.as_second()).max(0);
        write!(
            page,
            "<br><small>next pass in {}</small>",
            RoundedSpan(seconds)
        )?;
    }
    let poller = poller.as_deref().unwrap_or("not known yet");
    write!(page, "</td><td>{}", Escaped(poller))?;
    if let Some(cache) = cache {
        write!(page, "<br><small>cache: {}</small>", Escaped(cache))?;
    }
    page.push_str("</td>");
    match last_error {
        Some(error) => writeln!(
            page,
            "<td class=\"error\">{}<br><small>{failures} failed passes in a row</small></td></tr>",
            Escaped(error)
        ),
        None => writeln!(page, "<td>none</td></tr>"),
    }
}

/// A text with the characters escaped that HTML interprets.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

/// The time since a timestamp.
struct Ago(Timestamp, Timestamp);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(then, now) = self;
        let seconds = (now.as_second() - then.as_second()).max(0);
        write!(
            f,
            "<time datetime=\"{then}\">{} ago</time>",
            RoundedSpan(seconds)
        )
    }
}

/// A number of seconds in its largest unit.
struct RoundedSpan(i64);

impl fmt::Display for RoundedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds < 120 => write!(f, "{seconds} s"),
            seconds if seconds < 2 * 3600 => write!(f, "{} min", seconds / 60),
            seconds if seconds < 2 * 86400 => write!(f, "{} h", seconds / 3600),
            seconds => write!(f, "{} d", seconds / 86400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::standing::Published;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_table_has_age_and_error_and_texts_cannot_be_markup() {
        let repo = Standing {
            name: Some("site".to_owned()),
            repo: "https://git.example/<script>alert('1')</script>".to_owned(),
            r#ref: "a&b".to_owned(),
            phase: Phase::Waiting,
            published: Some(Published {
                commit: "a".repeat(40),
                tag: Some("v1.2.3".to_owned()),
                since: at(1_000_000),
                as_of: Some(at(999_000)),
            }),
            last_success: Some(at(1_000_550)),
            last_error: Some("the server said \"no\"".to_owned()),
            failures: 3,
            next_pass: Some(at(1_000_612)),
            poller: None,
            cache: None,
        };
        let page = to_html(&[repo, Standing::default()], at(1_000_600));
        for part in [
            "<strong>site</strong>",
            "https://git.example/&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;</td><td>a&amp;b</td>",
            "<br>v1.2.3</td><td><time datetime=\"1970-01-12T13:46:40Z\">10 min ago</time><br><small>as of 1970-01-12T13:30:00Z</small>",
            "50 s ago</time></td><td>waiting<br><small>next pass in 12 s</small>",
            "the server said &quot;no&quot;<br><small>3 failed passes in a row</small>",
            "<td>none yet</td>",
            "<td>never</td>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn browsers_get_html_and_programs_json() {
        let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, expected) in [
            (firefox, true),
            ("application/json, TEXT/HTML ; q=0.5", true),
            ("*/*", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(is_for_people(accept), expected, "{accept}");
        }
    }
}
