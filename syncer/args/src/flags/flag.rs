use crate::flags::kind::Kind;

/// One flag of a sync, as declared.
#[derive(Debug)]
pub struct Flag {
    /// The name without dashes, which is also the key in an entry of `--config`.
    pub name: &'static str,
    /// Placeholder of its value in the help.
    pub(crate) value: &'static str,
    /// The variable that sets it, then those of older versions in git-sync's order: of several that
    /// are set the last one wins. Empty if only the command line has the flag.
    pub(crate) env: &'static [&'static str],
    /// The lines of its description: help prints the first paragraph, the manual all.
    pub(crate) docs: &'static [&'static str],
    /// Grammar of its value.
    pub(crate) kind: Kind,
    /// The only accepted texts; empty if there are others.
    pub(crate) choices: fn() -> Vec<String>,
    /// The programs that have the flag.
    pub(crate) source: Source,
    /// Its conversion to an annotation.
    pub conversion: Conversion,
    /// Whether an argv that we write contains it even at its default.
    pub(crate) is_always_written: bool,
}

/// Programs that have a flag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// git-sync, whose behaviour it keeps.
    GitSync,
    /// Only this program.
    Ours,
}

/// What happens to a flag when a git-sync container is converted to annotations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conversion {
    /// This annotation, without its prefix, has the same values.
    Key(&'static str),
    /// The injected container always behaves this way, or another flag decides.
    Implied,
    /// There is no annotation, and none is needed; the text is the reason.
    Dropped(&'static str),
    /// There is no annotation, and the Pod needs one; the text is the remedy.
    Refused(&'static str),
    /// It depends on other flags or on the Pod.
    Special,
}

impl Flag {
    /// The variable that sets it.
    pub(crate) fn variable(&self) -> Option<&'static str> {
        self.env.first().copied()
    }

    /// The variables of older versions.
    pub(crate) fn old_variables(&self) -> &'static [&'static str] {
        self.env.get(1..).unwrap_or_default()
    }

    /// The paragraphs of its description.
    pub(crate) fn paragraphs(&self) -> impl Iterator<Item = String> {
        let lines = self.docs.split(|line| line.is_empty());
        lines.map(|lines| lines.concat().trim().to_owned())
    }
}
