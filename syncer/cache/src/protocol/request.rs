//! The requests of followers: `ls-refs` and `fetch` in a closed grammar. What is parsed is written
//! again for the origin; no byte of a follower is forwarded.

use std::collections::BTreeSet;
use std::fmt;

use crate::protocol::packets;
use crate::protocol::packets::DELIMITER;
use crate::protocol::packets::FLUSH;
use crate::protocol::packets::Packet;
use crate::protocol::packets::write_line;

/// The longest argument in bytes.
const LONGEST_ARGUMENT: usize = 4096;

/// The most prefixes of an `ls-refs`.
const MOST_PREFIXES: usize = 1024;

/// Why a body is no request that the cache accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RequestError {
    /// No request of the protocol at all.
    #[error("the request is not in git's protocol version 2")]
    Malformed,
    /// A request whose answers cannot be shared.
    #[error("the cache does not support this request")]
    Unsupported,
}

/// The hash function of a repository.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ObjectFormat {
    #[default]
    Sha1,
    Sha256,
}

impl ObjectFormat {
    /// The length of an object id in hexadecimal digits.
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }

    fn parse(text: &str) -> Result<Self, RequestError> {
        match text {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            _ => Err(RequestError::Unsupported),
        }
    }
}

/// A request of a follower.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    LsRefs(LsRefs),
    Fetch(Box<Fetch>),
    /// The empty request that git sends before a long one, to authenticate.
    Probe,
}

/// `ls-refs`: which object does each ref name?
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LsRefs {
    pub(crate) object_format: ObjectFormat,
    pub(crate) peel: bool,
    pub(crate) symrefs: bool,
    pub(crate) unborn: bool,
    pub(crate) prefixes: BTreeSet<String>,
}

/// `fetch`: a pack with the wanted objects.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fetch {
    pub(crate) object_format: ObjectFormat,
    /// Arguments without a value, by their name.
    pub(crate) options: BTreeSet<&'static str>,
    pub(crate) wants: BTreeSet<String>,
    pub(crate) haves: BTreeSet<String>,
    pub(crate) shallows: BTreeSet<String>,
    pub(crate) deepen: Option<u32>,
    pub(crate) deepen_since: Option<u64>,
    pub(crate) filter: Option<String>,
}

/// The arguments of `fetch` without a value. `sideband-all` is absent: an answer with it differs in
/// form. So is `include-tag`, which is dropped: with it, an answer depends on the tags that its first
/// follower may see; git fetches tags that it misses by itself.
const OPTIONS: [&str; 6] = [
    "deepen-relative",
    "done",
    "no-progress",
    "ofs-delta",
    "thin-pack",
    "wait-for-done",
];

impl Request {
    /// Parses a body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, RequestError> {
        if body == FLUSH {
            return Ok(Self::Probe);
        }
        let mut lines = Lines { rest: body };
        let command = match lines.next()? {
            Line::Text(text) => text
                .strip_prefix("command=")
                .ok_or(RequestError::Malformed)?,
            Line::Delimiter | Line::End => return Err(RequestError::Malformed),
        };
        let mut object_format = ObjectFormat::default();
        let has_arguments = loop {
            match lines.next()? {
                Line::End => break false,
                Line::Delimiter => break true,
                Line::Text(text) => match text.split_once('=') {
                    Some(("object-format", name)) => object_format = ObjectFormat::parse(name)?,
                    // The follower's name and session do not change the answer.
                    Some(("agent" | "session-id", _)) => {}
                    _ => return Err(RequestError::Unsupported),
                },
            }
        };
        let mut arguments = Vec::new();
        if has_arguments {
            loop {
                match lines.next()? {
                    Line::End => break,
                    Line::Delimiter => return Err(RequestError::Malformed),
                    Line::Text(text) => arguments.push(text),
                }
            }
        }
        if !lines.rest.is_empty() {
            return Err(RequestError::Malformed);
        }
        match command {
            "ls-refs" => LsRefs::parse(object_format, &arguments).map(Self::LsRefs),
            "fetch" => Fetch::parse(object_format, &arguments).map(|it| Self::Fetch(Box::new(it))),
            _ => Err(RequestError::Unsupported),
        }
    }
}

impl LsRefs {
    fn parse(object_format: ObjectFormat, arguments: &[&str]) -> Result<Self, RequestError> {
        let mut request = Self {
            object_format,
            ..Self::default()
        };
        for argument in arguments {
            match argument.split_once(' ') {
                None if *argument == "peel" => request.peel = true,
                None if *argument == "symrefs" => request.symrefs = true,
                None if *argument == "unborn" => request.unborn = true,
                Some(("ref-prefix", prefix)) => {
                    request.prefixes.insert(prefix.to_owned());
                }
                _ => return Err(RequestError::Unsupported),
            }
        }
        if request.prefixes.len() > MOST_PREFIXES {
            return Err(RequestError::Unsupported);
        }
        Ok(request)
    }

    /// The canonical body: equal requests have equal bytes.
    pub(crate) fn to_body(&self) -> Vec<u8> {
        let mut out = begin("ls-refs", self.object_format);
        for (is_set, name) in [
            (self.peel, "peel"),
            (self.symrefs, "symrefs"),
            (self.unborn, "unborn"),
        ] {
            if is_set {
                write_line(&mut out, name);
            }
        }
        write_all(&mut out, "ref-prefix", &self.prefixes);
        out.extend_from_slice(FLUSH);
        out
    }
}

impl Fetch {
    fn parse(object_format: ObjectFormat, arguments: &[&str]) -> Result<Self, RequestError> {
        let mut request = Self {
            object_format,
            ..Self::default()
        };
        let digits = object_format.digits();
        let object = |text: &str| match is_object_id(text, digits) {
            true => Ok(text.to_owned()),
            false => Err(RequestError::Malformed),
        };
        for argument in arguments {
            let Some((name, value)) = argument.split_once(' ') else {
                if *argument == "include-tag" {
                    continue;
                }
                let known = OPTIONS.iter().find(|option| *option == argument);
                request
                    .options
                    .insert(known.ok_or(RequestError::Unsupported)?);
                continue;
            };
            match name {
                "want" => drop(request.wants.insert(object(value)?)),
                "have" => drop(request.haves.insert(object(value)?)),
                "shallow" => drop(request.shallows.insert(object(value)?)),
                "deepen" if request.deepen.is_none() => request.deepen = Some(number(value)?),
                "deepen-since" if request.deepen_since.is_none() => {
                    request.deepen_since = Some(number(value)?);
                }
                "filter" if request.filter.is_none() && is_filter(value) => {
                    request.filter = Some(value.to_owned());
                }
                // `deepen-not` names a ref, which moves and which another follower may not see.
                _ => return Err(RequestError::Unsupported),
            }
        }
        if request.wants.is_empty() {
            return Err(RequestError::Malformed);
        }
        Ok(request)
    }

    /// The canonical body: equal requests have equal bytes.
    pub(crate) fn to_body(&self) -> Vec<u8> {
        let mut out = begin("fetch", self.object_format);
        // `done` is git's last argument.
        for option in self.options.iter().filter(|option| **option != "done") {
            write_line(&mut out, option);
        }
        write_all(&mut out, "shallow", &self.shallows);
        let mut write = |name: &str, value: Option<&dyn fmt::Display>| {
            if let Some(value) = value {
                write_line(&mut out, &format!("{name} {value}"));
            }
        };
        write("deepen", self.deepen.as_ref().map(|it| it as _));
        write("deepen-since", self.deepen_since.as_ref().map(|it| it as _));
        write("filter", self.filter.as_ref().map(|it| it as _));
        write_all(&mut out, "want", &self.wants);
        write_all(&mut out, "have", &self.haves);
        if self.options.contains("done") {
            write_line(&mut out, "done");
        }
        out.extend_from_slice(FLUSH);
        out
    }

    /// The only wanted object of a first clone: nothing is there yet, and the filter is none or
    /// `blob:none`.
    pub(crate) fn first_clone(&self) -> Option<&str> {
        let is_first = self.haves.is_empty()
            && self.shallows.is_empty()
            && self.wants.len() == 1
            && matches!(self.filter.as_deref(), None | Some("blob:none"));
        self.wants.first().map(String::as_str).filter(|_| is_first)
    }
}

fn begin(command: &str, object_format: ObjectFormat) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_line(&mut out, &format!("command={command}"));
    // A server without SHA-256 does not know this capability.
    if object_format == ObjectFormat::Sha256 {
        write_line(&mut out, "object-format=sha256");
    }
    out.extend_from_slice(DELIMITER);
    out
}

fn write_all(out: &mut Vec<u8>, name: &str, values: &BTreeSet<String>) {
    for value in values {
        write_line(out, &format!("{name} {value}"));
    }
}

/// Whether a text is an object id in lower case.
pub(crate) fn is_object_id(text: &str, digits: usize) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(is_digit)
}

/// Whether a filter depends on the objects alone. `sparse:oid=` does not: it names an object that
/// another follower may not read.
fn is_filter(text: &str) -> bool {
    let is_number = |text: &str| {
        (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    text == "blob:none"
        || text.strip_prefix("tree:").is_some_and(is_number)
        || text.strip_prefix("blob:limit=").is_some_and(is_number)
}

/// A number as git writes it: no sign, no leading zero.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Result<T, RequestError> {
    let number = text.parse().ok().filter(|it: &T| it.to_string() == text);
    number.ok_or(RequestError::Malformed)
}

struct Lines<'a> {
    rest: &'a [u8],
}

enum Line<'a> {
    Text(&'a str),
    Delimiter,
    End,
}

impl<'a> Lines<'a> {
    /// The next line: printable UTF-8 without control characters.
    fn next(&mut self) -> Result<Line<'a>, RequestError> {
        let (packet, length) = match packets::first(self.rest) {
            Ok(Some(found)) => found,
            Ok(None) | Err(_) => return Err(RequestError::Malformed),
        };
        self.rest = &self.rest[length..];
        Ok(match packet {
            Packet::Flush => Line::End,
            Packet::Delimiter => Line::Delimiter,
            Packet::Data(data) => {
                let text = std::str::from_utf8(packets::line(data));
                let text = text.map_err(|_| RequestError::Malformed)?;
                if text.len() > LONGEST_ARGUMENT || text.chars().any(char::is_control) {
                    return Err(RequestError::Malformed);
                }
                Line::Text(text)
            }
        })
    }
}

#[cfg(test)]
mod tests;
