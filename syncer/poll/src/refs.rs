//! The search for the object of a followed name among a server's refs.
//!
//! A server of protocol version 2 lists refs by prefix on request; an older one starts every
//! connection with all of its refs (<https://git-scm.com/docs/gitprotocol-v2>,
//! <https://git-scm.com/docs/gitprotocol-pack>).

use args::Revision;
use args::VersionRange;
use args::VersionTag;

use crate::packets::Packet;
use crate::packets::Packets;
use crate::packets::ProtocolError;
use crate::packets::write_line;
use crate::response::Answer;
use crate::response::FoundRef;
use crate::response::KnownRef;

/// The prefix and suffix that turn a short name into a full one, in the order in which `git fetch
/// URL NAME` tries them: git's own `ref_rev_parse_rules`.
const RULES: [(&str, &str); 6] = [
    ("", ""),
    ("refs/", ""),
    ("refs/tags/", ""),
    ("refs/heads/", ""),
    ("refs/remotes/", ""),
    ("refs/remotes/", "/HEAD"),
];

/// The agent in requests.
pub(crate) const AGENT: &str = concat!("agent=gitvolume/", env!("CARGO_PKG_VERSION"));

/// The directory of tags.
const TAGS: &str = "refs/tags/";

/// The maximum number of major numbers by which a request narrows the list of tags.
const MOST_MAJORS: usize = 8;

/// Writes the request for the refs that a name may mean, or for the tags of a range.
pub(crate) fn request(rev: &Revision, object_format: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(320);
    write_line(&mut out, "command=ls-refs");
    write_line(&mut out, AGENT);
    if let Some(format) = object_format {
        write_line(&mut out, &format!("object-format={format}"));
    }
    out.extend_from_slice(b"0001");
    let prefixes = match rev.range() {
        Some(range) => prefixes_of(range),
        None => RULES
            .map(|(before, after)| format!("{before}{rev}{after}"))
            .into(),
    };
    for prefix in prefixes {
        write_line(&mut out, &format!("ref-prefix {prefix}"));
    }
    out.extend_from_slice(b"0000");
    out
}

/// The prefixes of the tags that can be in a range: those of its major numbers, or all. A prefix may
/// match other tags, too.
fn prefixes_of(range: &VersionRange) -> Vec<String> {
    match range.majors().filter(|majors| majors.len() <= MOST_MAJORS) {
        Some(majors) => {
            let of_major = |major: &u64| [format!("{TAGS}{major}"), format!("{TAGS}v{major}")];
            majors.iter().flat_map(of_major).collect()
        }
        None => vec![TAGS.to_owned()],
    }
}

/// The comparison of a ref's object on the server with the known one.
#[derive(Clone, Debug)]
pub(crate) struct Search<'a> {
    rev: &'a Revision,
    known: KnownRef<'a>,
    best: Best,
}

/// The best match so far, and its object.
#[derive(Clone, Debug)]
enum Best {
    None,
    /// The ref of a name, by the index of its rule.
    Rule(usize, String),
    /// The highest tag of a range.
    Tag(VersionTag, String),
}

impl<'a> Search<'a> {
    /// Starts before the first ref.
    pub(crate) fn new(rev: &'a Revision, known: KnownRef<'a>) -> Self {
        Self {
            rev,
            known,
            best: Best::None,
        }
    }

    /// Processes one ref of the server.
    fn see(&mut self, object: &[u8], name: &[u8]) -> Result<(), ProtocolError> {
        if !is_object(object) {
            return Err(ProtocolError::Malformed);
        }
        let object = || String::from_utf8_lossy(object).into_owned();
        if let Some(range) = self.rev.range() {
            if let Some(tag) = tag(name).filter(|tag| range.contains(tag))
                && !matches!(&self.best, Best::Tag(best, _) if tag <= *best)
            {
                self.best = Best::Tag(tag, object());
            }
            return Ok(());
        }
        let is_meant = |(before, after): &(&str, &str)| {
            let short = name.strip_prefix(before.as_bytes());
            let short = short.and_then(|short| short.strip_suffix(after.as_bytes()));
            short == Some(self.rev.as_str().as_bytes())
        };
        if let Some(rule) = RULES.iter().position(is_meant)
            && !matches!(self.best, Best::Rule(best, _) if rule >= best)
        {
            self.best = Best::Rule(rule, object());
        }
        Ok(())
    }

    /// The result after all refs; git reports a name without a ref.
    fn answer(&self) -> Answer {
        match self.found() {
            Some(found) if found.is(self.known) => Answer::Same,
            _ => Answer::Different,
        }
    }

    /// The ref that the name means, or the highest tag, after all refs.
    pub(crate) fn found(&self) -> Option<FoundRef> {
        match &self.best {
            Best::None => None,
            Best::Rule(_, object) => Some(FoundRef {
                object: object.clone(),
                tag: None,
            }),
            Best::Tag(tag, object) => Some(FoundRef {
                object: object.clone(),
                tag: Some(tag.name().to_owned()),
            }),
        }
    }
}

/// The version of a full ref name; `None` for anything but a tag whose name is a version.
fn tag(name: &[u8]) -> Option<VersionTag> {
    let name = std::str::from_utf8(name).ok()?;
    VersionTag::parse(name.strip_prefix(TAGS)?)
}

fn is_object(text: &[u8]) -> bool {
    matches!(text.len(), 40 | 64) && text.iter().all(u8::is_ascii_hexdigit)
}

/// Splits `OBJECT NAME` and discards the rest after another space or a NUL.
fn split(line: &[u8]) -> Result<(&[u8], &[u8]), ProtocolError> {
    let mut words = line.splitn(2, |&byte| byte == b' ');
    let (Some(object), Some(rest)) = (words.next(), words.next()) else {
        return Err(ProtocolError::Malformed);
    };
    let end = rest.iter().position(|&byte| matches!(byte, b' ' | 0));
    Ok((object, &rest[..end.unwrap_or(rest.len())]))
}

/// Parses the response to [`request`]; `None` until it is complete.
pub(crate) fn listed(
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

/// The first response of a server.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Greeting {
    /// It waits for a request, which must name this object format.
    Capabilities { object_format: Option<String> },
    /// It has already listed all of its refs.
    Listed(Answer),
}

/// The parser of a server's first response.
#[derive(Debug)]
pub(crate) struct Handshake<'a> {
    search: Search<'a>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// No packet was read, or only the service's name, which http sends first.
    Start,
    Service,
    Capabilities {
        object_format: Option<String>,
        has_ls_refs: bool,
    },
    Refs,
}

impl<'a> Handshake<'a> {
    /// Starts before the first packet.
    pub(crate) fn new(search: Search<'a>) -> Self {
        Self {
            search,
            stage: Stage::Start,
        }
    }

    /// The ref that an older server has listed.
    pub(crate) fn found(&self) -> Option<FoundRef> {
        self.search.found()
    }

    /// Parses further packets; `None` until the response is complete.
    pub(crate) fn read(
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
                    // The lines of shallow commits follow the refs.
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
mod tests;
