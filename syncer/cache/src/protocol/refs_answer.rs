//! Answers to `ls-refs`.

use crate::protocol::packets;
use crate::protocol::packets::Packet;
use crate::protocol::request::is_object_id;

/// Why an answer to `ls-refs` is not used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RefsError {
    /// Not in git's protocol, or incomplete.
    Malformed,
    /// git's own error packet.
    Refused,
}

/// Checks that an answer is complete and consists of refs.
pub(crate) fn check(answer: &[u8]) -> Result<(), RefsError> {
    for line in Refs::new(answer) {
        line?;
    }
    Ok(())
}

/// The refs of an answer: object and name of each. An unborn `HEAD` has none.
pub(crate) fn refs(answer: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    // A checked answer has no error.
    Refs::new(answer)
        .filter_map(Result::ok)
        .map(|it| (it.object, it.name))
}

/// Whether a checked answer advertises an object, as a ref's own or as a tag's target.
pub(crate) fn advertises(answer: &[u8], object: &str) -> bool {
    let mut refs = Refs::new(answer).filter_map(Result::ok);
    refs.any(|it| it.object == object || it.peeled == Some(object))
}

#[derive(Debug)]
struct Ref<'a> {
    object: &'a str,
    name: &'a str,
    peeled: Option<&'a str>,
}

struct Refs<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Refs<'a> {
    fn new(answer: &'a [u8]) -> Self {
        Self { rest: Some(answer) }
    }

    fn read(&mut self) -> Result<Option<Ref<'a>>, RefsError> {
        while let Some(rest) = self.rest {
            let (packet, length) = match packets::first(rest) {
                Ok(Some(found)) => found,
                Ok(None) | Err(_) => return Err(RefsError::Malformed),
            };
            let data = match packet {
                Packet::Data(data) => data,
                Packet::Flush if rest.len() == length => {
                    self.rest = None;
                    return Ok(None);
                }
                Packet::Flush | Packet::Delimiter => return Err(RefsError::Malformed),
            };
            self.rest = Some(&rest[length..]);
            if data.starts_with(b"ERR ") {
                return Err(RefsError::Refused);
            }
            let line = std::str::from_utf8(packets::line(data));
            let line = line.map_err(|_| RefsError::Malformed)?;
            if let Some(found) = parse(line)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Refs<'a> {
    type Item = Result<Ref<'a>, RefsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.rest = None;
        }
        read.transpose()
    }
}

/// One line; `None` for an unborn `HEAD`.
fn parse(line: &str) -> Result<Option<Ref<'_>>, RefsError> {
    let mut words = line.split(' ');
    let (Some(object), Some(name)) = (words.next(), words.next()) else {
        return Err(RefsError::Malformed);
    };
    let is_id = |text| is_object_id(text, 40) || is_object_id(text, 64);
    let mut peeled = None;
    for word in words {
        match word.split_once(':') {
            Some(("symref-target", _)) => {}
            Some(("peeled", id)) if is_id(id) => peeled = Some(id),
            _ => return Err(RefsError::Malformed),
        }
    }
    match object {
        "unborn" => Ok(None),
        object if is_id(object) && !name.is_empty() => Ok(Some(Ref {
            object,
            name,
            peeled,
        })),
        _ => Err(RefsError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::packets::write_line;

    #[test]
    fn refs_are_read_with_their_objects() {
        let [a, b, c] = ["a", "b", "c"].map(|digit| digit.repeat(40));
        let mut answer = Vec::new();
        write_line(&mut answer, "unborn HEAD symref-target:refs/heads/main");
        write_line(&mut answer, &format!("{a} refs/heads/main"));
        write_line(&mut answer, &format!("{b} refs/tags/v1 peeled:{c}"));
        answer.extend_from_slice(b"0000");
        assert_eq!(check(&answer), Ok(()));
        let read: Vec<_> = refs(&answer).collect();
        assert_eq!(read, [(&*a, "refs/heads/main"), (&*b, "refs/tags/v1")]);
        assert!(advertises(&answer, &a) && advertises(&answer, &c));
        assert!(!advertises(&answer, &"d".repeat(40)));
        // A part of an id, or a name, is no id.
        assert!(!advertises(&answer, "main") && !advertises(&answer, &a[..39]));
        for end in 0..answer.len() {
            assert_eq!(check(&answer[..end]), Err(RefsError::Malformed), "{end}");
        }
        for wrong in [&b"<html>"[..], b"00000000", b"00010000", b"0009main\n0000"] {
            assert_eq!(check(wrong), Err(RefsError::Malformed));
        }
        assert_eq!(check(b"000bERR no\n0000"), Err(RefsError::Refused));
    }
}
