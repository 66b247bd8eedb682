//! Tables of results.

use tests::samples::Samples;

/// A Markdown table: a column for each program, then the ratio of the peer to each of gitvolume's.
pub(crate) struct Table {
    columns: usize,
    /// The columns of the peer and of gitvolume, for each ratio.
    ratios: Vec<(usize, usize)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table; the last program is the peer if `has_peer`.
    pub(crate) fn new(title: &str, programs: &[&str], has_peer: bool) -> Self {
        let peer = programs.len() - usize::from(has_peer);
        let ratios: Vec<(usize, usize)> = (0..peer)
            .filter(|_| has_peer)
            .map(|ours| (peer, ours))
            .collect();
        let mut head = vec![title.to_owned()];
        head.extend(programs.iter().map(|&name| name.to_owned()));
        head.extend(
            ratios
                .iter()
                .map(|&(peer, ours)| format!("{} / {}", programs[peer], programs[ours])),
        );
        Self {
            columns: programs.len(),
            ratios,
            rows: vec![head],
        }
    }

    /// Adds a row with one value for each program.
    pub(crate) fn row(&mut self, label: &str, values: &[Samples]) {
        assert_eq!(values.len(), self.columns, "a value for each program");
        let mut row = vec![label.to_owned()];
        row.extend(values.iter().map(cell));
        row.extend(self.ratios.iter().map(|&(peer, ours)| {
            let ratio = values[peer].over(&values[ours]).median();
            if ratio.is_finite() {
                format!("{}×", number(ratio))
            } else {
                "–".to_owned()
            }
        }));
        self.rows.push(row);
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        print_rows(&self.rows);
    }
}

/// Prints a Markdown table whose first row is the header.
pub(crate) fn print_rows(rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    println!();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        println!("| {} |", cells.join(" | "));
        if index == 0 {
            let lines: Vec<String> = widths
                .iter()
                .enumerate()
                .map(|(column, &width)| match column {
                    0 => "-".repeat(width + 2),
                    _ => format!("{}:", "-".repeat(width + 1)),
                })
                .collect();
            println!("|{}|", lines.join("|"));
        }
    }
}

/// The median, and the range if the rounds differ.
fn cell(samples: &Samples) -> String {
    let median = number(samples.median());
    let (least, greatest) = samples.range();
    let (least, greatest) = (number(least), number(greatest));
    if least == greatest {
        median
    } else {
        format!("{median} ({least}–{greatest})")
    }
}

/// Three digits: the machine is not more precise.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
