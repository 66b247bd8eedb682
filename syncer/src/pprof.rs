//! `/debug/pprof/`: what can be told of a running Rust program without slowing it down. Go's
//! profiles are its runtime's, and we have none; what is here is the kernel's own view of us.

use std::env;
use std::fs;
use std::io;

use hyper::StatusCode;
use tokio::runtime::Handle;

use crate::http::Page;
use crate::redact::redact;

/// How a page is made.
type Make = fn() -> io::Result<String>;

/// The pages: name, what it is, and how it is made.
const PAGES: [(&str, &str, Make); 4] = [
    (
        "cmdline",
        "the command line, arguments separated by NUL bytes, secrets masked",
        command_line,
    ),
    (
        "memory",
        "the kernel's account of our memory (/proc/self/smaps_rollup)",
        || fs::read_to_string("/proc/self/smaps_rollup"),
    ),
    (
        "tasks",
        "how many tasks the event loop has, and how many wait for their turn",
        tasks,
    ),
    (
        "threads",
        "each thread with its state and its CPU time in clock ticks (/proc/self/task)",
        threads,
    ),
];

/// The answer to `/debug/pprof/NAME`; without a name, the list of them.
pub(crate) fn page(name: &str) -> Page {
    if name.is_empty() {
        return index();
    }
    let Some((_, _, make)) = PAGES.iter().find(|(known, ..)| *known == name) else {
        let names = PAGES.map(|(name, ..)| name).join(", ");
        let body =
            format!("Unknown profile: this program is not written in Go and offers {names}\n");
        return Page::text(StatusCode::NOT_FOUND, body);
    };
    match make() {
        Ok(body) => Page::text(StatusCode::OK, body),
        Err(error) => {
            let body = format!("the system does not tell: {error}\n");
            Page::text(StatusCode::INTERNAL_SERVER_ERROR, body)
        }
    }
}

fn index() -> Page {
    let rows =
        PAGES.map(|(name, what, _)| format!("<li><a href=\"{name}\">{name}</a>: {what}</li>\n"));
    Page {
        status: StatusCode::OK,
        kind: Some("text/html; charset=utf-8"),
        body: format!(
            "<html><head><title>/debug/pprof/</title></head>\n<body>/debug/pprof/\n<ul>\n{}</ul>\n</body></html>\n",
            rows.concat()
        ),
    }
}

fn command_line() -> io::Result<String> {
    let args: Vec<String> = env::args_os()
        .map(|arg| redact(&arg.to_string_lossy()))
        .collect();
    Ok(args.join("\0"))
}

fn tasks() -> io::Result<String> {
    let metrics = Handle::try_current().map_err(io::Error::other)?.metrics();
    Ok(format!(
        "alive {}\nwaiting {}\n",
        metrics.num_alive_tasks(),
        metrics.global_queue_depth()
    ))
}

fn threads() -> io::Result<String> {
    let mut text = "id name state user system\n".to_owned();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        // A thread may end between the listing and now.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let id = entry.file_name();
        if let Some(line) = thread(&id.to_string_lossy(), &stat) {
            text.push_str(&line);
        }
    }
    Ok(text)
}

/// Reads `ID (name) S …`, where the name may have any character in it; user and system time are the
/// 14th and the 15th field.
fn thread(id: &str, stat: &str) -> Option<String> {
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let (state, user, system) = (fields.first()?, fields.get(11)?, fields.get(12)?);
    Some(format!("{id} {name} {state} {user} {system}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_the_index_is_there() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let index = page("");
        for (name, ..) in PAGES {
            assert!(index.body.contains(&format!("href=\"{name}\"")), "{name}");
            let page = page(name);
            assert_eq!(page.status, StatusCode::OK, "{name}: {}", page.body);
            assert!(!page.body.is_empty(), "{name}");
        }
        assert_eq!(page("heap").status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_threads_name_may_hold_anything() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194560 100 0 0 0 12 34 0 0 20 0 1 0 5 0 0";
        assert_eq!(thread("7", stat).unwrap(), "7 a) b R 12 34\n");
    }
}
