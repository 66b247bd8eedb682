//! Paths of the cache: a closed grammar.

use args::cache::CA_PATH;
use args::cache::OriginAddress;
use args::wake;
use hyper::Method;
use hyper::StatusCode;
use hyper::Uri;

/// What a request is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    InfoRefs(OriginAddress),
    UploadPack(OriginAddress),
    Wake,
    Watch,
    /// The CAs of the cache's own certificates.
    Cas,
}

impl Route {
    /// The route of a request; otherwise its status and a sentence.
    pub(crate) fn parse(method: &Method, uri: &Uri) -> Result<Self, (StatusCode, &'static str)> {
        let unknown = (
            StatusCode::NOT_FOUND,
            "the path is outside the cache's grammar",
        );
        // A forward proxy would take these.
        if uri.scheme().is_some() || uri.authority().is_some() {
            return Err((StatusCode::BAD_REQUEST, "the request's target is a URL"));
        }
        let path = uri.path();
        let (route, expected) = if path == wake::PATH && uri.query().is_none() {
            (Self::Wake, Method::POST)
        } else if path == wake::WATCH_PATH && uri.query().is_none() {
            (Self::Watch, Method::POST)
        } else if path == CA_PATH && uri.query().is_none() {
            (Self::Cas, Method::GET)
        } else if let Some(repository) = path.strip_suffix("/info/refs") {
            if uri.query() != Some("service=git-upload-pack") {
                return Err((
                    StatusCode::NOT_IMPLEMENTED,
                    "the cache supports git-upload-pack only",
                ));
            }
            let origin = OriginAddress::from_cache_path(repository).ok_or(unknown)?;
            (Self::InfoRefs(origin), Method::GET)
        } else {
            let repository = path.strip_suffix("/git-upload-pack");
            let repository = repository.filter(|_| uri.query().is_none());
            let origin = repository.and_then(OriginAddress::from_cache_path);
            (Self::UploadPack(origin.ok_or(unknown)?), Method::POST)
        };
        if *method != expected {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed"));
        }
        Ok(route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &Method, uri: &str) -> Result<Route, u16> {
        let uri: Uri = uri.parse().unwrap();
        Route::parse(method, &uri).map_err(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_upload_pack_wake_ups_and_the_cas_have_a_path() {
        let (get, post) = (&Method::GET, &Method::POST);
        let origin = OriginAddress::from_cache_path("/https/git.example/site").unwrap();
        let refs = "/https/git.example/site/info/refs";
        assert_eq!(
            status(get, &format!("{refs}?service=git-upload-pack")),
            Ok(Route::InfoRefs(origin.clone()))
        );
        assert_eq!(
            status(post, "/https/git.example/site/git-upload-pack"),
            Ok(Route::UploadPack(origin))
        );
        assert_eq!(status(post, "/wake"), Ok(Route::Wake));
        assert_eq!(status(post, "/watch"), Ok(Route::Watch));
        assert_eq!(status(get, "/ca"), Ok(Route::Cas));
        for (method, uri, expected) in [
            (get, refs, 501),
            (get, &*format!("{refs}?service=git-receive-pack"), 501),
            (get, &format!("{refs}?service=git-upload-pack&x"), 501),
            (get, &format!("{refs}?"), 501),
            (post, &format!("{refs}?service=git-upload-pack"), 405),
            (get, "/https/git.example/site/git-upload-pack", 405),
            (post, "/https/git.example/site/git-upload-pack?x", 404),
            (post, "/https/git.example/site/git-receive-pack", 404),
            (get, "/https/git.example/site/HEAD", 404),
            (
                get,
                "/https/git.example/info/refs?service=git-upload-pack",
                404,
            ),
            (
                get,
                "/https/git.example/a/../b/info/refs?service=git-upload-pack",
                404,
            ),
            (
                get,
                "/https/git.example/a%2fb/info/refs?service=git-upload-pack",
                404,
            ),
            (
                get,
                "/https/127.0.0.1/a/info/refs?service=git-upload-pack",
                404,
            ),
            (
                get,
                "http://git.example/https/git.example/a/info/refs?service=git-upload-pack",
                400,
            ),
            (get, "/wake", 405),
            (get, "/watch", 405),
            (post, "/ca", 405),
            (get, "/ca?x", 404),
            (get, "/", 404),
            (get, "*", 404),
        ] {
            assert_eq!(status(method, uri), Err(expected), "{method} {uri}");
        }
    }
}
