//! Which object a followed name means among the refs that a server lists.
//!
//! A server of protocol version 2 lists on request what begins with given texts; an older one
//! begins every conversation with all of its refs
//! (<https://git-scm.com/docs/gitprotocol-v2>, <https://git-scm.com/docs/gitprotocol-pack>).

use crate::engine::Answer;
use crate::engine::packets::Packet;
use crate::engine::packets::Packets;
use crate::engine::packets::ProtocolError;
use crate::engine::packets::write_line;
use crate::git::Hash;

/// What stands before a short name, and after it, in the order in which `git fetch URL NAME` tries
/// them: git's own `ref_rev_parse_rules`.
const RULES: [(&str, &str); 6] = [
    ("", ""),
    ("refs/", ""),
    ("refs/tags/", ""),
    ("refs/heads/", ""),
    ("refs/remotes/", ""),
    ("refs/remotes/", "/HEAD"),
];

/// How a request says who asks.
pub(super) const AGENT: &str = concat!("agent=gitvolume/", env!("CARGO_PKG_VERSION"));

/// Writes the request for the refs that a name may mean.
pub(super) fn request(name: &str, object_format: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(320);
    write_line(&mut out, "command=ls-refs");
    write_line(&mut out, AGENT);
    if let Some(format) = object_format {
        write_line(&mut out, &format!("object-format={format}"));
    }
    out.extend_from_slice(b"0001");
    for (before, after) in RULES {
        write_line(&mut out, &format!("ref-prefix {before}{name}{after}"));
    }
    out.extend_from_slice(b"0000");
    out
}

/// Compares what a name means on the server with what it meant.
#[derive(Clone, Debug)]
pub(super) struct Search<'a> {
    name: &'a str,
    known: &'a Hash,
    /// The best rule so far, and whether its ref names the known object.
    best: Option<(usize, bool)>,
}

impl<'a> Search<'a> {
    /// Begins with nothing seen.
    pub(super) fn new(name: &'a str, known: &'a Hash) -> Self {
        Self {
            name,
            known,
            best: None,
        }
    }

    /// Takes one ref of the server into account.
    fn see(&mut self, object: &[u8], name: &[u8]) -> Result<(), ProtocolError> {
        if !is_object(object) {
            return Err(ProtocolError::Malformed);
        }
        let is_meant = |(before, after): &(&str, &str)| {
            let short = name.strip_prefix(before.as_bytes());
            let short = short.and_then(|short| short.strip_suffix(after.as_bytes()));
            short == Some(self.name.as_bytes())
        };
        if let Some(rule) = RULES.iter().position(is_meant)
            && self.best.is_none_or(|(best, _)| rule < best)
        {
            self.best = Some((rule, object == self.known.as_str().as_bytes()));
        }
        Ok(())
    }

    /// What is known once all refs were seen; a name that means nothing is git's to report.
    fn answer(&self) -> Answer {
        match self.best {
            Some((_, true)) => Answer::Same,
            _ => Answer::Different,
        }
    }
}

fn is_object(text: &[u8]) -> bool {
    matches!(text.len(), 40 | 64) && text.iter().all(u8::is_ascii_hexdigit)
}

/// Splits `OBJECT NAME`, and drops what follows a further space or a NUL.
fn split(line: &[u8]) -> Result<(&[u8], &[u8]), ProtocolError> {
    let mut words = line.splitn(2, |&byte| byte == b' ');
    let (Some(object), Some(rest)) = (words.next(), words.next()) else {
        return Err(ProtocolError::Malformed);
    };
    let end = rest.iter().position(|&byte| matches!(byte, b' ' | 0));
    Ok((object, &rest[..end.unwrap_or(rest.len())]))
}

/// Reads the answer to [`request`]; `None` while more is to come.
pub(super) fn listed(
    packets: &mut Packets,
    search: &mut Search<'_>,
) -> Result<Option<Answer>, ProtocolError> {
    while let Some(packet) = packets.next()? {
        match packet {
            Packet::Flush => return Ok(Some(search.answer())),
            Packet::Mark => return Err(ProtocolError::Malformed),
            Packet::Data(line) => {
                let (object, name) = split(line)?;
                search.see(object, name)?;
            }
        }
    }
    Ok(None)
}

/// How a server begins.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Greeting {
    /// It waits for a request, in which the format of its objects is to be named.
    Capabilities { object_format: Option<String> },
    /// It has listed all of its refs already.
    Listed(Answer),
}

/// Reads a server's first words.
#[derive(Debug)]
pub(super) struct Greeted<'a> {
    search: Search<'a>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Nothing was read, or only the name of the service, which http puts first.
    Start,
    Service,
    Capabilities {
        object_format: Option<String>,
        has_ls_refs: bool,
    },
    Refs,
}

impl<'a> Greeted<'a> {
    /// Begins with nothing read.
    pub(super) fn new(search: Search<'a>) -> Self {
        Self {
            search,
            stage: Stage::Start,
        }
    }

    /// Reads on; `None` while more is to come.
    pub(super) fn read(
        &mut self,
        packets: &mut Packets,
    ) -> Result<Option<Greeting>, ProtocolError> {
        while let Some(packet) = packets.next()? {
            match (&mut self.stage, packet) {
                (Stage::Start, Packet::Data(line)) if line.starts_with(b"# service=") => {
                    self.stage = Stage::Service;
                }
                (Stage::Service, Packet::Flush) => self.stage = Stage::Start,
                (Stage::Start, Packet::Data(b"version 2")) => {
                    self.stage = Stage::Capabilities {
                        object_format: None,
                        has_ls_refs: false,
                    };
                }
                (Stage::Start, Packet::Data(b"version 1")) => self.stage = Stage::Refs,
                (Stage::Start | Stage::Refs, Packet::Data(line)) => {
                    self.stage = Stage::Refs;
                    // Where history is cut comes after the refs.
                    if !line.starts_with(b"shallow ") {
                        let (object, name) = split(line)?;
                        self.search.see(object, name)?;
                    }
                }
                (Stage::Refs, Packet::Flush) => {
                    return Ok(Some(Greeting::Listed(self.search.answer())));
                }
                (
                    Stage::Capabilities {
                        object_format,
                        has_ls_refs,
                    },
                    Packet::Data(line),
                ) => {
                    if let Some(format) = line.strip_prefix(b"object-format=") {
                        *object_format = Some(String::from_utf8_lossy(format).into_owned());
                    }
                    *has_ls_refs |= line == b"ls-refs" || line.starts_with(b"ls-refs=");
                }
                (
                    Stage::Capabilities {
                        object_format,
                        has_ls_refs,
                    },
                    Packet::Flush,
                ) => {
                    if !*has_ls_refs {
                        return Err(ProtocolError::NoLsRefs);
                    }
                    let object_format = object_format.take();
                    return Ok(Some(Greeting::Capabilities { object_format }));
                }
                _ => return Err(ProtocolError::Malformed),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "e83c5163316f89bfbde7d9ab23ca2e25604af290";
    const B: &str = "0123456789012345678901234567890123456789";

    fn packets(lines: &[&str]) -> Packets {
        let mut bytes = Vec::new();
        for line in lines {
            match *line {
                "0000" | "0001" => bytes.extend_from_slice(line.as_bytes()),
                line => write_line(&mut bytes, line),
            }
        }
        let mut packets = Packets::default();
        packets.push(&bytes).unwrap();
        packets
    }

    fn answer_to(name: &str, refs: &[(&str, &str)]) -> Answer {
        let lines: Vec<String> = refs
            .iter()
            .map(|(object, name)| format!("{object} {name}"))
            .collect();
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        lines.push("0000");
        let known = A.parse().unwrap();
        let mut search = Search::new(name, &known);
        listed(&mut packets(&lines), &mut search).unwrap().unwrap()
    }

    #[test]
    fn a_name_means_what_git_takes_it_for() {
        for (name, refs, expected) in [
            ("main", &[(A, "refs/heads/main")][..], Answer::Same),
            ("main", &[(B, "refs/heads/main")], Answer::Different),
            ("main", &[(A, "refs/heads/main2")], Answer::Different),
            ("main", &[], Answer::Different),
            // A tag stands before a branch, whatever comes first in the list.
            (
                "x",
                &[(A, "refs/heads/x"), (B, "refs/tags/x")],
                Answer::Different,
            ),
            (
                "x",
                &[(A, "refs/tags/x"), (B, "refs/heads/x")],
                Answer::Same,
            ),
            (
                "x",
                &[(B, "refs/remotes/x/HEAD"), (A, "refs/remotes/x")],
                Answer::Same,
            ),
            ("x", &[(A, "refs/remotes/x/HEAD")], Answer::Same),
            ("HEAD", &[(A, "HEAD"), (B, "refs/heads/HEAD")], Answer::Same),
            ("heads/x", &[(A, "refs/heads/x")], Answer::Same),
            (
                "refs/heads/x",
                &[(A, "refs/heads/x"), (B, "refs/heads/refs/heads/x")],
                Answer::Same,
            ),
        ] {
            assert_eq!(answer_to(name, refs), expected, "{name} {refs:?}");
        }
    }

    #[test]
    fn attributes_of_a_ref_are_passed_over() {
        let line = format!("{A} HEAD symref-target:refs/heads/main");
        let known = A.parse().unwrap();
        let mut search = Search::new("HEAD", &known);
        let answer = listed(&mut packets(&[&line, "0000"]), &mut search);
        assert_eq!(answer, Ok(Some(Answer::Same)));
    }

    #[test]
    fn lines_that_list_no_ref_are_an_error() {
        let known: Hash = A.parse().unwrap();
        for line in ["unborn HEAD", "HEAD", "e83c HEAD", "0001"] {
            let mut search = Search::new("HEAD", &known);
            let answer = listed(&mut packets(&[line, "0000"]), &mut search);
            assert_eq!(answer, Err(ProtocolError::Malformed), "{line}");
        }
        let mut search = Search::new("HEAD", &known);
        assert_eq!(listed(&mut packets(&[]), &mut search), Ok(None));
    }

    fn greeting(lines: &[&str]) -> Result<Option<Greeting>, ProtocolError> {
        let known = A.parse().unwrap();
        Greeted::new(Search::new("main", &known)).read(&mut packets(lines))
    }

    #[test]
    fn the_capabilities_of_version_2_are_read() {
        let lines = [
            "version 2",
            "agent=git/2.39.5",
            "ls-refs=unborn",
            "fetch=shallow wait-for-done",
            "object-format=sha256",
            "0000",
        ];
        let expected = Greeting::Capabilities {
            object_format: Some("sha256".to_owned()),
        };
        assert_eq!(greeting(&lines), Ok(Some(expected)));
        // Some servers name the service first, as in version 0.
        let expected = Greeting::Capabilities {
            object_format: None,
        };
        let lines = [
            "# service=git-upload-pack",
            "0000",
            "version 2",
            "ls-refs",
            "0000",
        ];
        assert_eq!(greeting(&lines), Ok(Some(expected)));
        assert_eq!(
            greeting(&["version 2", "fetch", "0000"]),
            Err(ProtocolError::NoLsRefs)
        );
        assert_eq!(greeting(&["version 2", "ls-refs"]), Ok(None));
    }

    #[test]
    fn an_older_servers_list_is_read() {
        let head = format!("{B} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/1.9");
        let main = format!("{A} refs/heads/main");
        let tag = format!("{B} refs/tags/v1");
        let peeled = format!("{A} refs/tags/v1^{{}}");
        let cut = format!("shallow {B}");
        let mut lines = vec![head.as_str(), &main, &tag, &peeled, &cut, "0000"];
        assert_eq!(greeting(&lines), Ok(Some(Greeting::Listed(Answer::Same))));
        lines.insert(0, "version 1");
        assert_eq!(greeting(&lines), Ok(Some(Greeting::Listed(Answer::Same))));
        lines.splice(0..0, ["# service=git-upload-pack", "0000"]);
        assert_eq!(greeting(&lines), Ok(Some(Greeting::Listed(Answer::Same))));
        lines.pop();
        assert_eq!(greeting(&lines), Ok(None));
        let none = format!("{} capabilities^{{}}\0agent=git/2", "0".repeat(40));
        let empty = greeting(&[&none, "0000"]);
        assert_eq!(empty, Ok(Some(Greeting::Listed(Answer::Different))));
    }

    #[test]
    fn the_request_names_every_ref_that_is_meant() {
        let text = String::from_utf8(request("x", Some("sha256"))).unwrap();
        assert!(text.starts_with("0014command=ls-refs\n"), "{text}");
        assert!(text.contains("0019object-format=sha256\n"), "{text}");
        assert!(text.contains("\n0001"), "{text}");
        for prefix in [
            "x",
            "refs/x",
            "refs/tags/x",
            "refs/heads/x",
            "refs/remotes/x/HEAD",
        ] {
            assert!(text.contains(&format!("ref-prefix {prefix}\n")), "{text}");
        }
        assert!(text.ends_with("0000"), "{text}");
    }
}
