//! The batch API (git-lfs, docs/api/batch.md): asks for the addresses of contents.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::Url;
use reqwest::header::ACCEPT;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;

use crate::lfs::LfsError;
use crate::lfs::PointerFile;
use crate::lfs::Problem;
use crate::lfs::endpoint::Endpoint;
use crate::lfs::endpoint::headers_of;
use crate::lfs::http;
use crate::lfs::http::Access;
use crate::lfs::http::Outgoing;
use crate::remote::web;

/// The number of contents of one request, as in git-lfs.
pub(super) const MAX_OBJECTS: usize = 100;

/// The limit of an answer in bytes: addresses with a signature have some kilobytes each.
const LONGEST_ANSWER: usize = 4 << 20;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.git-lfs+json");

/// The only transfer that is implemented, and the default.
const BASIC: &str = "basic";

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    transfer: Option<String>,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    actions: Option<Actions>,
    #[serde(default)]
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct Actions {
    #[serde(default)]
    download: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct ObjectError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// Asks for the addresses of contents, and returns the request for each, in the order of the files.
pub(super) async fn request(
    access: &Access,
    endpoint: &Endpoint,
    files: &[PointerFile],
) -> Result<Vec<Outgoing>, LfsError> {
    let failed = |file: &PointerFile, problem: Problem| LfsError::Request {
        file: crate::redact::redact(&file.path.display().to_string()),
        host: web::host(&endpoint.url),
        problem,
    };
    let answer = ask(access, endpoint, files).await;
    let answer = match (answer, files.first()) {
        (Ok(answer), _) => answer,
        (Err(problem), Some(file)) => return Err(failed(file, problem)),
        (Err(_), None) => return Ok(Vec::new()),
    };
    let objects = answer.objects.into_iter();
    let mut objects: BTreeMap<String, Object> =
        objects.map(|object| (object.oid.clone(), object)).collect();
    let downloads = files.iter().map(|file| {
        let object = objects.remove(file.pointer.oid.as_str());
        download(object, file).map_err(|problem| failed(file, problem))
    });
    downloads.collect()
}

async fn ask(
    access: &Access,
    endpoint: &Endpoint,
    files: &[PointerFile],
) -> Result<Answer, Problem> {
    let objects = files.iter().map(|file| {
        let (oid, size) = (file.pointer.oid.as_str(), file.pointer.size);
        json!({"oid": oid, "size": size})
    });
    let body = json!({
        "operation": "download",
        "transfers": [BASIC],
        "objects": objects.collect::<Vec<_>>(),
        "hash_algo": "sha256",
    });
    let mut url = endpoint.url.clone();
    url.set_path(&format!("{}/objects/batch", url.path()));
    let headers = [(ACCEPT, MEDIA_TYPE), (CONTENT_TYPE, MEDIA_TYPE)];
    let request = Outgoing {
        method: Method::POST,
        url,
        public: headers.into_iter().collect(),
        private: endpoint.headers.clone(),
        body: body.to_string().into_bytes(),
    };
    let mut response = access.send(&request).await?;
    if http::is_page(&response) {
        return Err(Problem::Page);
    }
    let text = http::body(&mut response, LONGEST_ANSWER).await?;
    let answer: Answer = serde_json::from_slice(&text).map_err(|_| Problem::NotJson)?;
    match answer.transfer.as_deref() {
        None | Some("" | BASIC) => Ok(answer),
        Some(other) => Err(Problem::Transfer(http::shown(other))),
    }
}

/// The request for one content.
fn download(object: Option<Object>, file: &PointerFile) -> Result<Outgoing, Problem> {
    let object = object.ok_or(Problem::OtherObject)?;
    if let Some(error) = object.error {
        return Err(Problem::Object {
            code: error.code,
            message: http::shown(&error.message),
        });
    }
    let expected = file.pointer.size;
    if let Some(found) = object.size.filter(|found| *found != expected) {
        return Err(Problem::Size { found, expected });
    }
    let action = object.actions.and_then(|actions| actions.download);
    let action = action.ok_or(Problem::NoDownload)?;
    Ok(Outgoing {
        method: Method::GET,
        url: Url::parse(&action.href).map_err(|_| Problem::Address)?,
        public: HeaderMap::new(),
        private: headers_of(&action.header.unwrap_or_default()),
        body: Vec::new(),
    })
}
