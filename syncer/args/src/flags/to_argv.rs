//! The inverse of parsing: an argv from values.

use std::sync::LazyLock;

use crate::ProcessArgs;
use crate::RepoArgs;
use crate::SyncArgs;
use crate::flags::flag::Flag;
use crate::flags::kind::Kind;

/// The texts of each flag's default, in the order of [`SyncArgs::write`]. Cached, because the
/// webhook writes an argv for each Pod.
static DEFAULTS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let process = ProcessArgs::default().write();
    let flags = process.chain(RepoArgs::default().write());
    flags.map(|(_, texts)| texts).collect()
});

/// The texts of a flag's default.
pub(crate) fn default_texts(flag: &Flag) -> &'static [String] {
    let flags = ProcessArgs::FLAGS.iter().chain(RepoArgs::FLAGS);
    let mut defaults = flags.zip(DEFAULTS.iter());
    let default = defaults.find(|(other, _)| other.name == flag.name);
    default.map_or(&[], |(_, texts)| texts)
}

/// A flag with the texts that set it.
struct WrittenFlag {
    flag: &'static Flag,
    texts: Vec<String>,
    is_default: bool,
}

impl SyncArgs {
    /// The inverse of parsing: an argv (without the program) that parses to these arguments.
    ///
    /// The flags that decide the result most are always written, even at their defaults, so that an
    /// environment variable of the Pod cannot change them; the rest only if it differs from the
    /// default. For a container's `args` wrap each in [`crate::escape_for_kubelet`]. Flags that
    /// only the environment may set, above all passwords, are not written.
    pub fn to_argv(&self) -> Vec<String> {
        let mut written: Vec<_> = self.write().collect();
        written.retain(
            |WrittenFlag {
                 flag, is_default, ..
             }| {
                flag.kind != Kind::Secret && (flag.is_always_written || !is_default)
            },
        );
        // The repository comes first, for human readers.
        let is_first = |flag: &Flag| flag.is_always_written && flag.name != "verbose";
        written.sort_by_key(|written| !is_first(written.flag));
        let arguments = written
            .into_iter()
            .flat_map(|WrittenFlag { flag, texts, .. }| {
                let texts = texts.into_iter();
                texts.map(|text| format!("--{}={text}", flag.name))
            });
        arguments.collect()
    }

    /// The flags whose values are not their defaults, with the texts that set them.
    pub fn changed(&self) -> impl Iterator<Item = (&'static Flag, Vec<String>)> {
        let changed = self.write().filter(|written| !written.is_default);
        changed.map(|written| (written.flag, written.texts))
    }

    fn write(&self) -> impl Iterator<Item = WrittenFlag> {
        let flags = self.process.write().chain(self.repo.write());
        flags
            .zip(DEFAULTS.iter())
            .map(|((flag, texts), default)| WrittenFlag {
                flag,
                is_default: texts == *default,
                texts,
            })
    }
}
