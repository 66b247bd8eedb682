//! The value of one flag, with the name under which it was set.

/// The setting of one flag.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// One text, or any number for a list.
    pub(crate) values: Vec<String>,
    /// The spelling in which it was set: `--depth`, `-depth`, `GIT_SYNC_DEPTH`.
    pub(crate) name: String,
}

impl Setting {
    pub(crate) fn new(value: String, name: String) -> Self {
        let values = vec![value];
        Self { values, name }
    }

    /// Whether it has no value.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(String::is_empty)
    }
}
