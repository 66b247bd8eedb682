//! The pages and their contents.

use std::fmt;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use tests::examples;
use tests::settings;

/// The navigation of the site, which is no page of it.
pub(crate) const NAVIGATION: &str = "docs/SUMMARY.md";

/// A page in Markdown.
pub(crate) struct Page {
    /// Its path from the checkout's root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A block between fences.
pub(crate) struct Block<'a> {
    page: &'a Page,
    /// The number of its first line, the fence's.
    line: usize,
    /// The text after the three backticks of the opening fence.
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// Every page of the checkout.
pub(crate) fn pages() -> Vec<Page> {
    let root = settings::root();
    let mut paths: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(PathBuf::from)
        .into();
    for folder in ["docs", "charts/gitvolume"] {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        paths.extend(
            entries
                .map(|entry| Path::new(folder).join(entry.unwrap().file_name()))
                .filter(|path| path.extension().is_some_and(|found| found == "md")),
        );
    }
    let examples = examples::pages().unwrap();
    paths.push("examples/README.md".into());
    paths.extend(examples.into_iter().map(|page| page.path));
    paths.sort();
    let read = |path: PathBuf| Page {
        text: fs::read_to_string(root.join(&path)).unwrap(),
        path,
    };
    paths.into_iter().map(read).collect()
}

impl Page {
    /// The fenced blocks, including those in lists and quotations.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<(usize, Block<'_>)> = None;
        for (line, text) in (1..).zip(self.text.lines()) {
            let trimmed = text.trim_start();
            match (trimmed.strip_prefix("```"), &mut open) {
                (Some(""), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
                (Some(kind), None) => {
                    let block = Block {
                        page: self,
                        line,
                        kind: kind.to_owned(),
                        text: String::new(),
                    };
                    open = Some((text.len() - trimmed.len(), block));
                }
                (_, Some((indent, block))) => {
                    let text = text.get(*indent..).unwrap_or_default();
                    block.text.push_str(text);
                    block.text.push('\n');
                }
                _ => {}
            }
        }
        assert!(
            open.is_none(),
            "{}: a block has no end",
            self.path.display()
        );
        blocks
    }

    /// The lines outside of blocks, with their numbers.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let mut prose = Vec::new();
        for (line, text) in (1..).zip(self.text.lines()) {
            let is_fence = text.trim_start().starts_with("```");
            if !is_fence && !inside {
                prose.push((line, text));
            }
            inside ^= is_fence;
        }
        prose
    }
}

/// The position of a block, for messages.
impl fmt::Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.page.path.display(), self.line)
    }
}

impl Block<'_> {
    /// The page that the block is on.
    pub(crate) fn page(&self) -> &Page {
        self.page
    }
}
