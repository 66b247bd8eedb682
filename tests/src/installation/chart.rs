//! The chart rendered by helm, without a cluster.

pub mod sets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::installation::product;
use crate::settings;
use serde_json::Value;

/// The objects that one set of values renders to.
#[derive(Clone, Debug)]
pub struct Rendered {
    objects: Arc<Vec<Value>>,
}

/// Cache of rendered charts by values and flags: many tests use the same.
static KNOWN: Mutex<BTreeMap<String, Rendered>> = Mutex::new(BTreeMap::new());

impl Rendered {
    /// Renders with these values over the chart's defaults, in the namespace that the tests install
    /// in.
    pub fn with(values: &Value) -> Result<Self, String> {
        Self::with_flags(values, &[])
    }

    /// The same with further helm flags.
    pub fn with_flags(values: &Value, flags: &[&str]) -> Result<Self, String> {
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{values} {flags:?}");
        if let Some(rendered) = known().get(&key) {
            return Ok(rendered.clone());
        }
        let text = text(values, flags)?;
        let objects = serde_saphyr::from_multiple(&text).map_err(|e| format!("{e}\n{text}"))?;
        let objects = Arc::new(objects);
        let rendered = Self { objects };
        known().insert(key, rendered.clone());
        Ok(rendered)
    }

    /// Every object.
    pub fn all(&self) -> &[Value] {
        &self.objects
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: &str) -> Vec<&Value> {
        let all = self.objects.iter();
        all.filter(|object| object["kind"] == kind).collect()
    }

    /// The one object of a kind, or of a kind and name: `Service/gitvolume`.
    pub fn one(&self, what: &str) -> Result<&Value, String> {
        let (kind, name) = what.split_once('/').unwrap_or((what, ""));
        let found: Vec<&Value> = self
            .of_kind(kind)
            .into_iter()
            .filter(|object| name.is_empty() || object["metadata"]["name"] == name)
            .collect();
        match found[..] {
            [object] => Ok(object),
            _ => Err(format!("{} objects are {what}", found.len())),
        }
    }

    /// The Deployment of the webhook, beside which there may be that of the push receiver.
    pub fn webhook_deployment(&self) -> Result<&Value, String> {
        let mut all = self.of_kind("Deployment").into_iter();
        let container = "/spec/template/spec/containers/0/name";
        let found = all.find(|own| own.pointer(container) == Some(&Value::from("webhook")));
        found.ok_or_else(|| "no Deployment of the webhook".to_owned())
    }

    /// The webhooks of the `MutatingWebhookConfiguration`.
    pub fn webhooks(&self) -> Result<Vec<&Value>, String> {
        let registration = self.one("MutatingWebhookConfiguration")?;
        let webhooks = registration["webhooks"].as_array();
        Ok(webhooks.into_iter().flatten().collect())
    }

    /// One webhook of the `MutatingWebhookConfiguration`.
    pub fn webhook(&self, name: &str) -> Result<&Value, String> {
        let mut webhooks = self.webhooks()?.into_iter();
        let found = webhooks.find(|webhook| webhook["name"] == name);
        found.ok_or_else(|| format!("no webhook {name}"))
    }
}

/// The output of `helm template` for these values, without the Pod of `helm test`, which an
/// installation does not create; the error is helm's message.
pub fn text(values: &Value, flags: &[&str]) -> Result<String, String> {
    text_with_tests(values, &[&["--skip-tests"], flags].concat())
}

/// The same with the Pod of `helm test`.
pub fn text_with_tests(values: &Value, flags: &[&str]) -> Result<String, String> {
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = home.path().join("values.json");
    std::fs::write(&file, values.to_string()).map_err(|error| error.to_string())?;
    let chart = folder();
    let values = format!("--values={file}", file = file.display());
    let namespace = format!("--namespace={}", product::NAMESPACE);
    let args = ["template", product::RELEASE, &chart, &namespace, &values];
    product::helm_in(home.path(), &[&args[..], flags].concat()).map_err(|error| error.to_string())
}

/// The chart's directory.
pub fn folder() -> String {
    let chart = settings::root().join("charts/gitvolume");
    chart.to_string_lossy().into_owned()
}

/// The contents of a file of the chart.
pub fn file(name: &str) -> Result<String, String> {
    let path = settings::root().join("charts/gitvolume").join(name);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}
