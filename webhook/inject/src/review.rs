pub(crate) mod template;
use serde::Deserialize;
use serde_json::Value;

use crate::ShapeError;
use crate::keys::key;
use crate::pod::document;
use crate::review::template::pod_template;

/// The API version of the review: the one that the webhook registers for, and the only one that is
/// not removed
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>).
pub(crate) const API_VERSION: &str = "admission.k8s.io/v1";

/// The kind of both request and response.
pub(crate) const KIND: &str = "AdmissionReview";

/// An admission review: the object as the raw document, and the fields needed to answer.
#[derive(Clone, Debug)]
pub struct Review {
    request: AdmissionRequest,
}

/// The error of a request body that is not an admission review; the caller is then no API server
/// that the webhook is registered with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// The body is no JSON, or a field of the review has the wrong type.
    #[error("the body is not an AdmissionReview")]
    Decode(#[source] ShapeError),
    /// The review is of an unsupported kind or version.
    #[error("expected {API_VERSION} {KIND}, got {api_version} {kind}")]
    Kind {
        /// The body's `apiVersion`.
        api_version: String,
        /// The body's `kind`.
        kind: String,
    },
    /// The review is a response, or empty.
    #[error("the AdmissionReview has no request")]
    NoRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<AdmissionRequest>,
}

/// The fields that are used; the others (userInfo, oldObject, options …) are skipped.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionRequest {
    uid: String,
    kind: Option<GroupVersionKind>,
    sub_resource: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    operation: String,
    dry_run: Option<bool>,
    #[serde(default)]
    object: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct GroupVersionKind {
    #[serde(default)]
    group: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    kind: String,
}

impl Review {
    /// Decodes an AdmissionReview v1. The object stays raw, so no Pod can make this fail, and the
    /// answer always has the request's uid.
    pub fn parse(body: &[u8]) -> Result<Self, ReviewError> {
        // Validating the encoding of the whole body is much faster than that of each string.
        let read = match std::str::from_utf8(body) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(body),
        };
        let envelope: Envelope = read
            .map_err(ShapeError::from)
            .map_err(ReviewError::Decode)?;
        if envelope.api_version != API_VERSION || envelope.kind != KIND {
            return Err(ReviewError::Kind {
                api_version: envelope.api_version,
                kind: envelope.kind,
            });
        }
        let request = envelope.request.ok_or(ReviewError::NoRequest)?;
        Ok(Self { request })
    }

    /// The review of the creation of a Pod outside any cluster: for tests and offline use.
    pub fn of_pod(pod: Value) -> Self {
        Self {
            request: AdmissionRequest {
                uid: String::new(),
                kind: None,
                sub_resource: None,
                name: None,
                namespace: None,
                operation: "CREATE".to_owned(),
                dry_run: None,
                object: pod,
            },
        }
    }

    /// Sets the Pod's namespace, where the object has none.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.request.namespace = Some(namespace.to_owned());
        self
    }

    /// The request's uid, which the answer must repeat.
    pub fn uid(&self) -> &str {
        &self.request.uid
    }

    /// The Pod's namespace; the request has it even where the object has not.
    pub fn namespace(&self) -> &str {
        match self.request.namespace.as_deref() {
            Some(namespace) => namespace,
            None => self.metadata("namespace").unwrap_or_default(),
        }
    }

    /// The Pod's name for logs: its name, else its `generateName`, since a Pod of a controller has
    /// no name before it is stored.
    pub fn pod(&self) -> &str {
        let given = self.request.name.as_deref().filter(|name| !name.is_empty());
        given
            .or_else(|| self.metadata("name"))
            .or_else(|| self.metadata("generateName"))
            .unwrap_or_default()
    }

    /// Whether the object will not be stored; the answer is the same, and the log records it.
    pub fn dry_run(&self) -> bool {
        self.request.dry_run.unwrap_or(false)
    }

    /// The object as the API server sent it.
    pub fn object(&self) -> &Value {
        &self.request.object
    }

    pub(crate) fn into_object(self) -> Value {
        self.request.object
    }

    /// Whether the review is about a new Pod. The webhook is registered for nothing else; if a rule
    /// is widened by hand, the webhook must not edit objects that cannot be edited.
    pub(crate) fn creates_a_pod(&self) -> bool {
        let AdmissionRequest {
            kind,
            sub_resource,
            operation,
            ..
        } = &self.request;
        let pod = kind
            .as_ref()
            .is_none_or(|kind| kind.group.is_empty() && kind.version == "v1" && kind.kind == "Pod");
        pod && operation == "CREATE" && sub_resource.as_deref().unwrap_or_default().is_empty()
    }

    /// Whether the review is about a new Pod that no earlier call has changed.
    pub fn is_unanswered_pod(&self) -> bool {
        let annotations = document::annotations(self.object());
        let mut keys = key::WRITTEN.into_iter();
        let is_answered = keys.any(|key| annotations.is_some_and(|all| all.contains_key(key)));
        self.creates_a_pod() && !is_answered
    }

    /// Whether the review is about a workload with a Pod template: the other kind of object that
    /// the webhook is registered for.
    pub(crate) fn has_template(&self) -> bool {
        let operation = self.request.operation.as_str();
        let sub_resource = self.request.sub_resource.as_deref().unwrap_or_default();
        ["CREATE", "UPDATE"].contains(&operation)
            && sub_resource.is_empty()
            && pod_template(self.object()).is_some_and(|at| !at.is_empty())
    }

    fn metadata(&self, key: &str) -> Option<&str> {
        let text = self.request.object.get("metadata")?.get(key)?.as_str()?;
        Some(text).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(request: Value) -> Vec<u8> {
        json!({"apiVersion": API_VERSION, "kind": KIND, "request": request})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_review_is_parsed_with_any_object() {
        for object in [json!(null), json!("x"), json!({"spec": {"containers": 7}})] {
            let review = Review::parse(&body(json!({
                "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "namespace": "shop", "operation": "CREATE", "dryRun": true, "object": object,
            })))
            .unwrap();
            assert_eq!(review.uid(), "u");
            assert_eq!(review.namespace(), "shop");
            assert!(review.dry_run());
            assert!(review.creates_a_pod());
            assert_eq!(review.object(), &object);
        }
    }

    #[test]
    fn a_pod_without_a_name_is_logged_by_its_generate_name() {
        let named = |request: Value| Review::parse(&body(request)).unwrap().pod().to_owned();
        let metadata = json!({"metadata": {"generateName": "web-"}});
        assert_eq!(named(json!({"uid": "u", "object": metadata})), "web-");
        assert_eq!(
            named(json!({"uid": "u", "name": "", "object": metadata})),
            "web-"
        );
        assert_eq!(
            named(json!({"uid": "u", "name": "web-1", "object": metadata})),
            "web-1"
        );
        assert_eq!(named(json!({"uid": "u"})), "");
    }

    #[test]
    fn only_the_creation_of_a_pod_counts() {
        let pod = json!({"group": "", "version": "v1", "kind": "Pod"});
        let deployment = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        for (request, expected) in [
            (
                json!({"uid": "u", "kind": pod, "operation": "CREATE"}),
                true,
            ),
            (
                json!({"uid": "u", "kind": pod, "operation": "UPDATE"}),
                false,
            ),
            (
                json!({"uid": "u", "kind": deployment, "operation": "CREATE"}),
                false,
            ),
            (
                json!({"uid": "u", "kind": pod, "operation": "CREATE", "subResource": "binding"}),
                false,
            ),
        ] {
            let review = Review::parse(&body(request.clone())).unwrap();
            assert_eq!(review.creates_a_pod(), expected, "{request}");
        }
    }

    #[test]
    fn other_bodies_are_errors_that_name_the_problem() {
        let error = |body: &[u8]| Review::parse(body).unwrap_err().to_string();
        assert_eq!(error(b"{"), "the body is not an AdmissionReview");
        assert_eq!(
            error(br#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}"#),
            "expected admission.k8s.io/v1 AdmissionReview, got admission.k8s.io/v1beta1 AdmissionReview"
        );
        assert_eq!(
            error(br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#),
            "the AdmissionReview has no request"
        );
    }
}
