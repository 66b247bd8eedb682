//! DNS: each host is resolved in a separate thread, with one lookup per host at a time.
//!
//! The system's `getaddrinfo` cannot be cancelled and may hang for a minute. In the process's
//! shared blocking threads, a few hosts with a dead resolver would delay every repository; here
//! each such host occupies one thread, and all requests for the host wait for that one.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::sync::Mutex;
use std::thread;

use reqwest::dns::Addrs;
use reqwest::dns::Name;
use reqwest::dns::Resolve;
use reqwest::dns::Resolving;
use tokio::sync::watch;

use crate::system::lock::lock;

/// The stack size of a lookup thread.
const STACK: usize = 512 << 10;

/// The result of a lookup: addresses, or the error.
type Found = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

/// The running lookups by host; each is removed when it ends.
type UnderWay = BTreeMap<String, watch::Receiver<Option<Found>>>;

// The process has one resolver, shared by all repositories.
static UNDER_WAY: Mutex<UnderWay> = Mutex::new(BTreeMap::new());

/// Resolves a host.
pub(crate) async fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    // An IPv6 address may be in brackets, as in a URL.
    if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![ip]);
    }
    shared(host, |host| {
        let found = (host, 0).to_socket_addrs();
        found.map(|found| found.map(|address| address.ip()).collect())
    })
    .await
}

/// Joins the running lookup of a host, or starts one.
async fn shared(
    host: &str,
    look_up: impl FnOnce(&str) -> io::Result<Vec<IpAddr>> + Send + 'static,
) -> io::Result<Vec<IpAddr>> {
    let mut waiting = {
        let mut under_way = lock(&UNDER_WAY);
        match under_way.get(host) {
            Some(waiting) => waiting.clone(),
            None => {
                let (sender, waiting) = watch::channel(None);
                let name = host.to_owned();
                let look = move || {
                    let found = look_up(&name).map_err(|error| (error.kind(), error.to_string()));
                    let mut under_way = lock(&UNDER_WAY);
                    under_way.remove(&name);
                    // All receivers may be gone.
                    let _ = sender.send(Some(found));
                };
                let thread = thread::Builder::new().name("dns".to_owned());
                thread.stack_size(STACK).spawn(look)?;
                under_way.insert(host.to_owned(), waiting.clone());
                waiting
            }
        }
    };
    let found = waiting.wait_for(Option::is_some).await;
    let found = found.map_err(io::Error::other)?.clone();
    let failed = |(kind, text)| io::Error::new(kind, text);
    found.unwrap_or_else(|| Ok(Vec::new())).map_err(failed)
}

/// The resolver of http clients.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = addresses(name.as_str()).await?;
            let found: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;

    #[tokio::test]
    async fn concurrent_lookups_of_a_host_share_one_thread() {
        let (open, closed) = mpsc::channel::<()>();
        let begun = Arc::new(AtomicUsize::new(0));
        let mut closed = Some(closed);
        let mut waiting = Vec::new();
        for _ in 0..100 {
            let begun = begun.clone();
            let closed = closed.take();
            let look_up = move |_: &str| {
                begun.fetch_add(1, Ordering::SeqCst);
                closed.map(|closed| closed.recv());
                Ok(vec![IpAddr::from([192, 0, 2, 1])])
            };
            waiting.push(tokio::spawn(shared("hanging.example", look_up)));
            tokio::task::yield_now().await;
        }
        // Another host does not wait.
        let other = shared("other.example", |_| Ok(Vec::new())).await;
        assert_eq!(other.unwrap(), Vec::<IpAddr>::new());
        drop(open);
        for found in waiting {
            assert_eq!(
                found.await.unwrap().unwrap(),
                [IpAddr::from([192, 0, 2, 1])]
            );
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up_and_a_failure_keeps_its_reason() {
        assert_eq!(
            addresses("[::1]").await.unwrap(),
            [IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]
        );
        assert_eq!(
            addresses("127.0.0.1").await.unwrap(),
            [IpAddr::from([127, 0, 0, 1])]
        );
        let refused = |_: &str| Err(io::Error::new(io::ErrorKind::NotFound, "no such host"));
        let error = shared("none.example", refused).await.unwrap_err();
        assert_eq!(
            (error.kind(), &*error.to_string()),
            (io::ErrorKind::NotFound, "no such host")
        );
    }
}
