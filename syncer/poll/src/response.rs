//! The response of a poll.

/// The ref that git last fetched.
#[derive(Clone, Copy, Debug)]
pub struct KnownRef<'a> {
    /// The object that the ref names, in hexadecimal digits; it may be an annotated tag.
    pub object: &'a str,
    /// The name of the tag; `None` unless a range of versions is followed.
    pub tag: Option<&'a str>,
}

/// The ref that a server has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundRef {
    /// The object that the ref names, in hexadecimal digits; it may be an annotated tag.
    pub object: String,
    /// The name of the tag; `None` unless a range of versions is followed.
    pub tag: Option<String>,
}

impl FoundRef {
    /// Whether this is the known ref with the known object.
    pub fn is(&self, known: KnownRef<'_>) -> bool {
        self.object == known.object && self.tag.as_deref() == known.tag
    }
}

/// The followed ref's object, compared with the known one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The same object.
    Same,
    /// Another object or none: git must fetch.
    Different,
}

/// The response of one poll.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PollResponse {
    /// Whether the ref names the known object.
    pub answer: Answer,
    /// The ref; `None` if the server has none of the name, or no tag in the range.
    pub found: Option<FoundRef>,
    /// The number of bytes of the server's response.
    pub received: u64,
}
