use serde::Deserialize;
use serde_json::Value;

use crate::ShapeError;
use crate::status::Status;
use crate::template::pod_template;

/// The only version of the review that we register for and that is not removed
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>).
pub(crate) const API_VERSION: &str = "admission.k8s.io/v1";

/// The kind of both the question and the answer.
pub(crate) const KIND: &str = "AdmissionReview";

/// The API server's question: the object as the raw document, and what is needed to answer.
#[derive(Clone, Debug)]
pub struct Review {
    request: AdmissionRequest,
}

/// Says why a request's body is not an admission review; the caller is then no API server of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// The body is no JSON, or a field of the review has the wrong type.
    #[error("the body is not an AdmissionReview")]
    Decode(#[source] ShapeError),
    /// The review is of a kind or version that we do not speak.
    #[error("expected {API_VERSION} {KIND}, got {api_version} {kind}")]
    Kind {
        /// The body's `apiVersion`.
        api_version: String,
        /// The body's `kind`.
        kind: String,
    },
    /// The review is an answer, or empty.
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

/// The fields we use; the others (userInfo, oldObject, options …) are passed over unread.
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
    /// Decodes an AdmissionReview v1. The object stays raw, so nothing about the Pod can make this
    /// fail and the answer always has its uid.
    pub fn parse(body: &[u8]) -> Result<Self, ReviewError> {
        // The encoding of all of it is looked at much faster than that of each text in it.
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

    /// The question for the creation of a Pod outside any cluster: for tests and offline use.
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

    /// Says which namespace the Pod will be in, where the object does not.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.request.namespace = Some(namespace.to_owned());
        self
    }

    /// The identity that the answer must repeat.
    pub fn uid(&self) -> &str {
        &self.request.uid
    }

    /// The namespace the Pod will be in; the request knows it also where the object does not yet.
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

    /// Tells whether the object will not be stored; our answer is the same, a log may say so.
    pub fn dry_run(&self) -> bool {
        self.request.dry_run.unwrap_or(false)
    }

    /// The object as the API server sent it.
    pub fn object(&self) -> &Value {
        &self.request.object
    }

    /// Tells whether this is about a new Pod. The webhook is registered for nothing else; a rule
    /// widened by hand must not make us edit what cannot be edited.
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

    /// Tells whether this is about a new Pod that no call has answered with a change.
    pub fn is_unanswered_pod(&self) -> bool {
        let annotations = self.object().pointer("/metadata/annotations");
        let mut keys = Status::KEYS.into_iter();
        let is_answered = keys.any(|key| annotations.is_some_and(|all| all.get(key).is_some()));
        self.creates_a_pod() && !is_answered
    }

    /// Tells whether this is about what makes Pods: the other thing the webhook is registered for.
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
    fn a_review_is_read_whatever_its_object_is() {
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
    fn a_pod_without_a_name_is_called_by_its_generate_name() {
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
    fn anything_else_is_an_error_that_says_what_it_is() {
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
