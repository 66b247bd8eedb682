//! The performance targets, and whether they are met.

use tests::samples::Samples;

use crate::table::number;
use crate::table::print_rows;

/// The target of a value.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// gitvolume's value is at most this.
    AtMost(f64),
    /// The peer's value is at least this many times gitvolume's.
    Ratio(f64),
}

/// A table with a row for each target.
pub(crate) struct Targets {
    rows: Vec<Vec<String>>,
}

impl Targets {
    /// Starts a table.
    pub(crate) fn new(title: &str, peer: &str) -> Self {
        let head = [title, "ours", peer, "ratio", "wanted", "holds"];
        Self {
            rows: vec![head.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a target with the measured value.
    pub(crate) fn line(
        &mut self,
        what: &str,
        wanted: Wanted,
        ours: &Samples,
        peer: Option<Samples>,
    ) {
        let mine = ours.median();
        let peer = peer.map(|peer| peer.median());
        let ratio = peer.map(|peer| peer / mine);
        let (text, holds) = match wanted {
            Wanted::AtMost(most) => (format!("≤ {}", number(most)), Some(mine <= most)),
            Wanted::Ratio(least) => (
                format!("≥ {}×", number(least)),
                ratio.map(|ratio| ratio >= least),
            ),
        };
        let none = || "–".to_owned();
        self.rows.push(vec![
            what.to_owned(),
            number(mine),
            peer.map_or_else(none, number),
            ratio.map_or_else(none, |ratio| format!("{}×", number(ratio))),
            text,
            match holds {
                None => none(),
                Some(true) => "yes".to_owned(),
                Some(false) => "NO".to_owned(),
            },
        ]);
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        print_rows(&self.rows);
    }
}
