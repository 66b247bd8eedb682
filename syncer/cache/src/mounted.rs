//! Values in mounted files, read again when the files change.

use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

/// The time between two comparisons of the files' content. Content is compared because the kubelet
/// replaces a link that all mounted files lead through, which no watch of a file reports.
pub(crate) const CHECK: Duration = Duration::from_secs(10);

/// The content of the files, in their order.
pub(crate) type Contents = Vec<Vec<u8>>;

type Reading<E> = Box<dyn Fn() -> Result<Contents, E> + Send + Sync>;
type Parsing<T, E> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, E> + Send + Sync>;

/// A value that is parsed from mounted files, and again from their changed content.
pub(crate) struct MountedValue<T, E> {
    read: Reading<E>,
    parse: Parsing<T, E>,
    current: RwLock<Current<T>>,
}

struct Current<T> {
    /// What the files contained when the value was parsed.
    contents: Contents,
    value: T,
}

impl<T: Clone, E> MountedValue<T, E> {
    /// Reads the files and parses them.
    pub(crate) fn new(
        read: impl Fn() -> Result<Contents, E> + Send + Sync + 'static,
        parse: impl Fn(&[Vec<u8>]) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let contents = read()?;
        let value = parse(&contents)?;
        Ok(Self {
            read: Box::new(read),
            parse: Box::new(parse),
            current: RwLock::new(Current { contents, value }),
        })
    }

    /// The value of the last usable content.
    pub(crate) fn get(&self) -> T {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.value.clone()
    }

    /// Uses changed files from now on; returns whether they have changed. A partial update is an
    /// error that the next call repairs.
    pub(crate) fn reload(&self) -> Result<bool, E> {
        let contents = (self.read)()?;
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if current.contents == contents {
                return Ok(false);
            }
        }
        let value = (self.parse)(&contents)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { contents, value };
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_changed_file_is_parsed_once_and_an_unusable_one_changes_nothing() {
        let file = Arc::new(Mutex::new(Some("1")));
        let read = Arc::clone(&file);
        let value = MountedValue::new(
            move || {
                let text = read.lock().unwrap().ok_or("missing")?;
                Ok(vec![text.as_bytes().to_vec()])
            },
            |contents| {
                let text = std::str::from_utf8(&contents[0]).unwrap();
                text.parse::<u8>().map_err(|_| "no number")
            },
        );
        let value = value.unwrap();
        assert_eq!((value.get(), value.reload()), (1, Ok(false)));
        for (text, expected) in [
            (Some("x"), Err("no number")),
            (None, Err("missing")),
            (Some("2"), Ok(true)),
        ] {
            *file.lock().unwrap() = text;
            assert_eq!(value.reload(), expected);
            assert_eq!(value.get(), if expected.is_ok() { 2 } else { 1 });
        }
        assert_eq!(value.reload(), Ok(false));
    }
}
