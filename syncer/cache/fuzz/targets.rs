//! The fuzz targets of the cache: what followers send before they are known.

use args::cache::OriginAddress;
use fuzz::run_of_crate;
use hyper::Method;
use hyper::Uri;

use crate::protocol::inflate::gunzip;
use crate::protocol::request::Request;
use crate::service::route::Route;

/// This crate, whose corpora are in its directory.
const CRATE: (&str, &str) = ("cache", env!("CARGO_MANIFEST_DIR"));

#[test]
fn any_body_is_refused_or_written_again_in_one_form() {
    let words = [
        "0000",
        "0001",
        "0002",
        "ffff",
        "0014command=ls-refs\n",
        "0011command=fetch",
        "0017object-format=sha256",
        "0009peel\n",
        "000csymrefs\n",
        "001bref-prefix refs/heads/\n",
        "0032want aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        "0032have bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n",
        "0035shallow cccccccccccccccccccccccccccccccccccccccc\n",
        "000ddeepen 1\n",
        "0014filter blob:none",
        "0015filter tree:0\n",
        "0009done\n",
        "000fthin-pack\n",
        "0010include-tag\n",
        "0018deepen-since 1700000000",
        "\n",
        "\0",
        "\u{85}",
    ];
    run_of_crate(CRATE, "bodies", &words, |data| {
        let parsed = Request::parse(data);
        let again = match &parsed {
            Ok(Request::LsRefs(request)) => request.to_body(),
            Ok(Request::Fetch(request)) => request.to_body(),
            Ok(Request::Probe) => b"0000".to_vec(),
            Err(_) => Vec::new(),
        };
        if parsed.is_ok() {
            assert_eq!(Request::parse(&again), parsed);
        }
        // What the origin gets consists of packets that the cache wrote.
        assert!(again.len() <= data.len() + 64, "{}", again.len());
        match parsed {
            Ok(Request::LsRefs(it)) => {
                let flags = [it.peel, it.symrefs, it.unborn];
                format!(
                    "{flags:?}{:?}{}",
                    it.object_format,
                    it.prefixes.len().min(9)
                )
            }
            Ok(Request::Fetch(it)) => {
                let counts = [&it.wants, &it.haves, &it.shallows].map(|all| all.len().min(3));
                let numbers = [it.deepen.is_some(), it.deepen_since.is_some()];
                format!(
                    "{:?}{counts:?}{numbers:?}{}",
                    it.options,
                    it.filter.is_some()
                )
            }
            other => format!("{other:?}"),
        }
    });
}

#[test]
fn any_gzip_file_is_inflated_up_to_the_limit_or_refused() {
    const LIMIT: usize = 1 << 16;
    let words = ["\u{1f}", "\0\0\0\0", "\u{3}", "\u{4b}\u{4c}"];
    run_of_crate(CRATE, "gzip", &words, |data| {
        let content = gunzip(data, LIMIT);
        assert!(
            content
                .as_ref()
                .is_none_or(|content| content.len() <= LIMIT)
        );
        content.map(|content| content.len().min(64))
    });
}

#[test]
fn any_target_of_a_request_is_refused_or_names_one_repository() {
    let words = [
        "/https/git.example/",
        "/http/",
        "/info/refs",
        "?service=git-upload-pack",
        "/git-upload-pack",
        "/wake",
        ":8443",
        ":443",
        "..",
        "%2e",
        "%2F",
        "%00",
        "//",
        "@",
        "0x7f",
        "127.0.0.1",
        "xn--",
        "[::1]",
        "#",
        " ",
        "\\",
    ];
    run_of_crate(CRATE, "targets", &words, |data| {
        let Ok(uri) = Uri::try_from(data) else {
            return "no target".to_owned();
        };
        let routes = [Method::GET, Method::POST].map(|method| Route::parse(&method, &uri));
        assert!(
            routes.iter().any(Result::is_err),
            "{uri}: one method for each path"
        );
        for route in routes.iter().flatten() {
            let origin = match route {
                Route::InfoRefs(origin) | Route::UploadPack(origin) => origin,
                Route::Wake | Route::Watch | Route::Cas => continue,
            };
            // The path is the only spelling of the repository.
            let path = origin.to_cache_path();
            assert!(uri.path().starts_with(&path), "{uri}: {path}");
            assert_eq!(OriginAddress::from_cache_path(&path).as_ref(), Some(origin));
            let (host, path) = (origin.host(), origin.path());
            assert!(host.parse::<std::net::IpAddr>().is_err(), "{host}");
            let is_plain =
                |text: &str| !text.contains(['@', '\\', '?', '#', ' ']) && text.is_ascii();
            assert!(is_plain(host) && !path.contains("//"), "{uri}");
            let is_traversal = |segment: &str| matches!(segment, "." | "..");
            assert!(!path.split('/').any(is_traversal), "{uri}");
            let lower = path.to_ascii_lowercase();
            assert!(
                !["%2e", "%2f", "%5c", "%0"]
                    .iter()
                    .any(|it| lower.contains(it)),
                "{uri}"
            );
        }
        let kinds = routes.map(|route| match route {
            Ok(Route::InfoRefs(it) | Route::UploadPack(it)) => {
                format!("{:?}{}", it.scheme(), it.path().matches('/').count().min(5))
            }
            other => format!("{other:?}"),
        });
        kinds.concat()
    });
}
