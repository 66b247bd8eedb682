use std::fmt;

use crate::Plan;

/// What was decided about a Pod; the response, the log line, the metric and the audit annotations
/// all come from this one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The author made a mistake.
    Deny(Refusal),
    /// The Pod gets what it asks for.
    Inject(Box<Plan>),
    /// The Pod stays as it is.
    Skip(SkipReason),
}

/// Why a Pod stays as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SkipReason {
    /// What we would add is there.
    AlreadyInjected,
    /// The operator leaves the Pods of the namespace alone.
    ExcludedNamespace,
    /// The operator leaves gitRepo volumes to the kubelet, and nothing else is asked for.
    GitRepoTurnedOff,
    /// A static Pod's image in the API: the kubelet runs its file, not what we would change.
    MirrorPod,
    /// Something else than the creation of a Pod.
    NotAPodCreation,
    /// No annotation asks for anything.
    NotRequested,
    /// `gitvolume.dev/inject: "false"`, or `gitvolume.dev/gitrepo: "off"` and nothing else is asked
    /// for.
    OptedOut,
    /// Something that makes Pods: what is wrong with them is told, and they are judged one by one.
    Template,
    /// There is no syncer for Windows.
    Windows,
}

impl SkipReason {
    /// Every reason, for a metric that starts all its series at zero.
    pub const ALL: [Self; 9] = [
        Self::AlreadyInjected,
        Self::ExcludedNamespace,
        Self::GitRepoTurnedOff,
        Self::MirrorPod,
        Self::NotAPodCreation,
        Self::NotRequested,
        Self::OptedOut,
        Self::Template,
        Self::Windows,
    ];

    /// The reason as a metric's label; a closed set.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyInjected => "already-injected",
            Self::ExcludedNamespace => "excluded-namespace",
            Self::GitRepoTurnedOff => "gitrepo-turned-off",
            Self::MirrorPod => "mirror-pod",
            Self::NotAPodCreation => "not-a-pod-creation",
            Self::NotRequested => "not-requested",
            Self::OptedOut => "opted-out",
            Self::Template => "template",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that is wrong with a Pod's annotations, for its author; never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    first: Mistake,
    others: Vec<Mistake>,
}

/// One mistake of the author's: a sentence that names key, value and accepted form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    key: &'static str,
    sentence: String,
}

impl Refusal {
    /// Puts mistakes together, the most telling one first; `None` where there are none.
    pub(crate) fn of(mistakes: Vec<Mistake>) -> Option<Self> {
        let mut mistakes = mistakes.into_iter();
        let first = mistakes.next()?;
        Some(Self {
            first,
            others: mistakes.collect(),
        })
    }

    /// The mistakes, the most telling one first.
    pub fn mistakes(&self) -> impl Iterator<Item = &Mistake> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The key of the first mistake, without the prefix: a closed set, fit for a metric's label.
    pub fn key(&self) -> &'static str {
        self.first.key
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.others
            .iter()
            .try_for_each(|mistake| write!(f, "; {mistake}"))
    }
}

impl Mistake {
    pub(crate) fn new(key: &'static str, sentence: String) -> Self {
        Self { key, sentence }
    }

    /// Adds what helps to the sentence.
    pub(crate) fn append(&mut self, clause: &str) {
        self.sentence.push_str(clause);
    }

    /// The annotation it is about, without the prefix.
    pub fn key(&self) -> &'static str {
        self.key
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<Mistake> for Refusal {
    fn from(first: Mistake) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }
}
