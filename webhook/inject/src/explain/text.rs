use std::fmt;
use std::fmt::Write;

use crate::explain::explanation::Explanation;
use crate::explain::explanation::Present;
use crate::explain::setting::Setting;

/// The width of prose on a terminal, in columns.
const WIDTH: usize = 100;

/// Wraps prose to 100 columns, each line indented by `indent` blanks.
pub fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let length = indent + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > WIDTH {
            let _ = writeln!(lines, "{:indent$}{line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(lines, "{:indent$}{line}", "");
    lines
}

/// Formats rows in columns as wide as their longest cell; the last column is not padded.
fn columns(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .filter(|width| *width <= WIDTH / 2)
            .max()
            .unwrap_or_default()
    };
    for row in rows {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let _ = if index + 1 == row.len() {
                write!(line, "  {cell}")
            } else {
                write!(line, "  {cell:width$}", width = width(index))
            };
        }
        writeln!(f, "  {}", line.trim_end())?;
    }
    Ok(())
}

pub(super) fn settings(f: &mut fmt::Formatter<'_>, settings: &[Setting]) -> fmt::Result {
    let row = |setting: &Setting| {
        let Setting {
            key,
            value,
            from,
            no_effect,
        } = setting;
        let from = match no_effect {
            Some(why) => format!("{from}; no effect: {why}"),
            None => from.clone(),
        };
        vec![key.clone(), one_line(value), from]
    };
    columns(f, &settings.iter().map(row).collect::<Vec<_>>())
}

fn one_line(text: &str) -> String {
    let text: Vec<&str> = text.lines().collect();
    text.join(" ⏎ ")
}

pub(super) fn list(f: &mut fmt::Formatter<'_>, heading: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "  {heading}")?;
    lines
        .iter()
        .try_for_each(|line| f.write_str(&wrapped(&one_line(line), 4)))
}

impl fmt::Display for Explanation {
    /// Formats it for a terminal; each line but the first is indented by two blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Destructured without `..`: a field that is not formatted does not compile.
        let Self {
            decision,
            reason,
            because,
            present,
            repositories,
            pod,
            containers,
            volumes,
            others,
            warnings,
            mistakes,
        } = self;
        write!(f, "{decision} ({reason})")?;
        match because {
            Some(because) => writeln!(f, ": {because}")?,
            None => writeln!(f)?,
        }
        if let Some(present) = present {
            write!(f, "{present}")?;
        }
        list(f, "refused", mistakes)?;
        list(f, "warnings", warnings)?;
        for repository in repositories {
            writeln!(f, "  {}", repository.called)?;
            settings(f, &repository.settings)?;
            let rows = repository.seen.iter().map(|seen| {
                let how = if seen.read_only {
                    "read-only"
                } else {
                    "read-write"
                };
                vec![
                    format!("in {}", seen.container),
                    seen.path.clone(),
                    how.to_owned(),
                ]
            });
            columns(f, &rows.collect::<Vec<_>>())?;
        }
        if !pod.is_empty() {
            writeln!(f, "  the Pod")?;
            settings(f, pod)?;
        }
        for container in containers {
            writeln!(f, "  adds {}: {}", container.name, container.does)?;
            let row = |key: &str, (value, why): &(String, String)| {
                vec![key.to_owned(), value.clone(), why.clone()]
            };
            let mut rows = vec![
                row("image", &container.image),
                row("position", &container.position),
                row("user", &container.user),
                row("resources", &container.resources),
                row("reserves", &container.reserves),
            ];
            let port = container.metrics_port.iter();
            rows.extend(port.map(|port| vec!["metrics".to_owned(), format!("port {port}")]));
            rows.extend(container.cache.iter().map(|cache| row("cache", cache)));
            columns(f, &rows)?;
        }
        if !volumes.is_empty() {
            writeln!(f, "  adds volumes")?;
            let row = |(name, what): (&String, &String)| vec![name.clone(), what.clone()];
            columns(f, &volumes.iter().map(row).collect::<Vec<_>>())?;
        }
        list(f, "changes", others)
    }
}

impl fmt::Display for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            config,
            present_config,
            is_same,
            differences,
            is_there: _,
        } = self;
        writeln!(
            f,
            "  injected by version {version} with configuration {config}"
        )?;
        if !is_same {
            writeln!(
                f,
                "    the webhook now has another version or configuration ({present_config})"
            )?;
        }
        if differences.is_empty() {
            return writeln!(f, "    a new Pod would get the same");
        }
        let lines: Vec<String> = differences
            .iter()
            .map(|text| format!("a new Pod would differ: {text}"))
            .collect();
        lines
            .iter()
            .try_for_each(|line| f.write_str(&wrapped(line, 4)))
    }
}
