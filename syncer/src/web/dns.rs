//! DNS: names are looked up in threads of their own, one for each host at a time.
//!
//! The system's `getaddrinfo` cannot be cancelled and may hang for a minute. In the threads that all
//! other long work of the process shares, a few hosts with a dead resolver would hold up every
//! repository; here each such host has one thread, which all who ask for it wait for.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use reqwest::dns::Addrs;
use reqwest::dns::Name;
use reqwest::dns::Resolve;
use reqwest::dns::Resolving;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// The stack of a thread that looks a name up.
const STACK: usize = 512 << 10;

/// What a look-up gave: addresses, or why there are none.
type Found = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

/// The look-ups under way, by host; each is gone when it has ended.
type UnderWay = BTreeMap<String, watch::Receiver<Option<Found>>>;

// The process has one resolver, whichever repository asks.
static UNDER_WAY: Mutex<UnderWay> = Mutex::new(BTreeMap::new());

/// Looks a host up.
pub(crate) async fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    // An IPv6 address may be in brackets, as in an address.
    if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![ip]);
    }
    shared(host, |host| {
        let found = (host, 0).to_socket_addrs();
        found.map(|found| found.map(|address| address.ip()).collect())
    })
    .await
}

/// Connects to a host, by the first of its addresses that answers.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let ips = addresses(host).await?;
    let addresses: Vec<SocketAddr> = ips.into_iter().map(|ip| (ip, port).into()).collect();
    TcpStream::connect(&*addresses).await
}

/// Joins the look-up of a host that is under way, or begins one.
async fn shared(
    host: &str,
    look_up: impl FnOnce(&str) -> io::Result<Vec<IpAddr>> + Send + 'static,
) -> io::Result<Vec<IpAddr>> {
    let mut waiting = {
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        match under_way.get(host) {
            Some(waiting) => waiting.clone(),
            None => {
                let (tell, waiting) = watch::channel(None);
                let name = host.to_owned();
                let look = move || {
                    let found = look_up(&name).map_err(|error| (error.kind(), error.to_string()));
                    let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
                    under_way.remove(&name);
                    // Nobody may be waiting any more.
                    let _ = tell.send(Some(found));
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
    async fn all_who_ask_for_a_host_wait_for_one_thread() {
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
        assert_eq!(begun.load(Ordering::SeqCst), 1);
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
