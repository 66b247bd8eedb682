//! The operator's settings: a file, and flags that override it.

pub mod current;

use std::io;
use std::path::PathBuf;

use ::args::CaBundle;
use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use inject::OnMistake;
use inject::PullPolicy;
use inject::Settings;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;

use crate::logging;
use crate::logging::FilterError;

/// The values of `--syncer-image-pull-policy`, for completions.
const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// The values of `--on-mistake`, for completions.
const ACTIONS: [&str; 2] = ["deny", "warn"];

/// Flags of the settings.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingsArgs {
    /// A YAML or JSON file of settings; the flags below override it
    #[arg(long, env = "GITVOLUME_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The syncer's image, with tag or digest (required here or in the file)
    #[arg(long, env = "GITVOLUME_SYNCER_IMAGE", value_name = "IMAGE")]
    pub syncer_image: Option<String>,

    /// When the kubelet pulls that image: Always, IfNotPresent or Never
    #[arg(
        long,
        env = "GITVOLUME_SYNCER_IMAGE_PULL_POLICY",
        value_parser = PossibleValuesParser::new(PULL_POLICIES).try_map(|own| word::<PullPolicy>(&own)),
        hide_possible_values = true,
        value_name = "POLICY"
    )]
    pub syncer_image_pull_policy: Option<PullPolicy>,

    /// What happens to a Pod whose annotations are wrong: deny or warn
    #[arg(
        long,
        env = "GITVOLUME_ON_MISTAKE",
        value_parser = PossibleValuesParser::new(ACTIONS).try_map(|own| word::<OnMistake>(&own)),
        hide_possible_values = true,
        value_name = "ACTION"
    )]
    pub on_mistake: Option<OnMistake>,
}

/// An error in the settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Neither the flag nor the file names an image.
    #[error("--syncer-image must be set, or `image` in the file of --config")]
    NoImage,
    /// The file cannot be read.
    #[error("cannot read --config {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file is not a YAML mapping.
    #[error("--config {path} is no YAML or JSON mapping")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parse error with its position.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// `log` is not a valid filter.
    #[error("the settings cannot be used: log")]
    Log(#[source] FilterError),
    /// A setting has an unknown name or an invalid value.
    #[error("the settings cannot be used")]
    Value(#[source] serde_json::Error),
}

impl SettingsArgs {
    /// Reads the file and applies the flags, which override it.
    pub fn load(self) -> Result<Settings, SettingsError> {
        self.read(None)
    }

    /// The same, with a default image.
    pub fn load_or(self, image: &str) -> Result<Settings, SettingsError> {
        self.read(Some(image))
    }

    /// Applies the flags to the settings of a running webhook; `--config` is ignored.
    pub fn over_live(self, mut settings: Settings) -> Settings {
        let Self {
            config: _,
            syncer_image,
            syncer_image_pull_policy,
            on_mistake,
        } = self;
        settings.image = syncer_image.unwrap_or(settings.image);
        settings.image_pull_policy = syncer_image_pull_policy.or(settings.image_pull_policy);
        settings.on_mistake = on_mistake.unwrap_or(settings.on_mistake);
        settings
    }

    fn read(self, default_image: Option<&str>) -> Result<Settings, SettingsError> {
        let text = self.text()?;
        let read = self.over(text.as_deref(), default_image)?;
        Ok(read.settings)
    }

    /// The content of the file; `None` without `--config`.
    fn text(&self) -> Result<Option<String>, SettingsError> {
        let Some(path) = &self.config else {
            return Ok(None);
        };
        let read = std::fs::read_to_string(path);
        let read = read.map(with_cache_ca);
        read.map(Some).map_err(|source| SettingsError::Read {
            path: path.clone(),
            source,
        })
    }

    /// Parses the content of the file and applies the flags.
    fn over(self, text: Option<&str>, default_image: Option<&str>) -> Result<Whole, SettingsError> {
        let Self {
            config,
            syncer_image,
            syncer_image_pull_policy,
            on_mistake,
        } = self;
        let mut settings: Map<String, Value> = match text {
            None => Map::new(),
            Some(text) => serde_saphyr::from_str(text).map_err(|source| SettingsError::Syntax {
                path: config.unwrap_or_default(),
                source: Box::new(source),
            })?,
        };
        let unissued = without_unissued(&mut settings);
        // `log` configures the process, not the injection, so it is not part of the settings' hash.
        let log = settings.remove("log").map(serde_json::from_value);
        let log: Option<String> = log.transpose().map_err(SettingsError::Value)?;
        if let Some(log) = &log {
            logging::filter(log).map_err(SettingsError::Log)?;
        }
        let flags = [
            ("image", syncer_image.map(serde_json::to_value)),
            (
                "imagePullPolicy",
                syncer_image_pull_policy.map(serde_json::to_value),
            ),
            ("onMistake", on_mistake.map(serde_json::to_value)),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                settings.insert(key.to_owned(), value.map_err(SettingsError::Value)?);
            }
        }
        if let (false, Some(image)) = (settings.contains_key("image"), default_image) {
            settings.insert("image".to_owned(), image.into());
        }
        if !settings.contains_key("image") {
            return Err(SettingsError::NoImage);
        }
        let settings = serde_json::from_value(Value::Object(settings));
        let settings = settings.map_err(SettingsError::Value)?;
        Ok(Whole {
            settings,
            log,
            unissued,
        })
    }
}

/// The file with the CAs of a cache, in place of `caBundle`.
const CACHE_CA_FILE: &str = "caBundleFile";

/// Replaces each `caBundleFile` of the caches by the content of the file. A file without certificates
/// stays named, so that [`without_unissued`] finds it. Other problems are reported when the settings
/// are parsed.
fn with_cache_ca(text: String) -> String {
    if !text.contains(CACHE_CA_FILE) {
        return text;
    }
    let Ok(mut settings) = serde_saphyr::from_str::<Map<String, Value>>(&text) else {
        return text;
    };
    for cache in caches(&mut settings).into_iter().flatten() {
        let file = cache.get(CACHE_CA_FILE).and_then(Value::as_str);
        let pem = file.and_then(|file| std::fs::read_to_string(file).ok());
        // The cache is optional: a wrong file must not keep the webhook from starting.
        let pem = pem.filter(|pem| pem.parse::<CaBundle>().is_ok());
        if let (Some(pem), Some(cache)) = (pem, cache.as_object_mut()) {
            cache.remove(CACHE_CA_FILE);
            cache.insert("caBundle".to_owned(), pem.into());
        }
    }
    Value::Object(settings).to_string()
}

/// Removes the caches whose CA file is missing or has no certificates: the certificate has not been
/// issued yet, or the kubelet has not updated the file yet.
fn without_unissued(settings: &mut Map<String, Value>) -> Vec<CacheWithoutCa> {
    let mut unissued = Vec::new();
    let Some(caches) = caches(settings) else {
        return unissued;
    };
    caches.retain(|cache| {
        let Some(file) = cache.get(CACHE_CA_FILE) else {
            return true;
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (url, file) = (text(&cache["url"]), text(file));
        tracing::warn!(
            cache = url,
            file,
            "syncers do not use the cache: its CA file is missing or has no certificates"
        );
        unissued.push(CacheWithoutCa { url, file });
        false
    });
    unissued
}

fn caches(settings: &mut Map<String, Value>) -> Option<&mut Vec<Value>> {
    settings.get_mut("cache")?.as_array_mut()
}

/// The content of the file with the flags applied.
struct Whole {
    settings: Settings,
    /// The log filter, if the file has one.
    log: Option<String>,
    /// The caches that the settings do not contain.
    unissued: Vec<CacheWithoutCa>,
}

/// A cache that syncers do not use, because its CA file is missing or has no certificates.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct CacheWithoutCa {
    /// The cache's address.
    pub url: String,
    /// The file in the webhook's container.
    pub file: String,
}

/// Parses a flag with the same values that the file accepts.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::args::GitDuration;
    use std::io::Write;

    #[test]
    fn a_flag_beats_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "image: a/syncer:1\nonMistake: warn\nsyncTimeout: 5m").unwrap();
        let args = SettingsArgs {
            config: Some(file.path().to_owned()),
            syncer_image: Some("b/syncer:2".to_owned()),
            ..SettingsArgs::default()
        };
        let settings = args.load().unwrap();
        assert_eq!(settings.image, "b/syncer:2");
        assert_eq!(settings.on_mistake, OnMistake::Warn);
        assert_eq!(settings.sync_timeout, GitDuration::from_secs(300));
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "image: a/syncer:1\nonMistakes: warn").unwrap();
        let args = SettingsArgs {
            config: Some(file.path().to_owned()),
            ..SettingsArgs::default()
        };
        let error = anyhow::Error::new(args.load().unwrap_err());
        assert!(format!("{error:#}").contains("unknown field `onMistakes`"));
    }

    #[test]
    fn a_cache_is_used_once_its_ca_file_has_a_certificate() {
        let home = tempfile::tempdir().unwrap();
        let (file, ca) = (
            home.path().join("settings.yaml"),
            home.path().join("ca.crt"),
        );
        let text = format!(
            "image: a/syncer:1\ncache:\n- url: https://cache.example\n  caBundleFile: {}\n",
            ca.display()
        );
        std::fs::write(&file, text).unwrap();
        let load = || {
            let args = SettingsArgs {
                config: Some(file.clone()),
                ..SettingsArgs::default()
            };
            args.load().unwrap().cache
        };
        assert!(load().is_empty(), "the file is missing");
        let args = SettingsArgs {
            config: Some(file.clone()),
            ..SettingsArgs::default()
        };
        let text = args.text().unwrap();
        let whole = args.over(text.as_deref(), None).unwrap();
        let unissued = CacheWithoutCa {
            url: "https://cache.example".to_owned(),
            file: ca.display().to_string(),
        };
        assert_eq!(whole.unissued, [unissued]);
        for text in ["", "no PEM"] {
            std::fs::write(&ca, text).unwrap();
            assert!(load().is_empty(), "{text:?}");
        }
        let pem = certs::Bundle::generate(std::time::SystemTime::now()).unwrap();
        std::fs::write(&ca, pem.pem()).unwrap();
        let [cache] = &load()[..] else {
            panic!("no cache");
        };
        assert_eq!(cache.ca_bundle.as_ref().unwrap().as_str(), pem.pem());
    }

    #[test]
    fn a_syncer_image_is_required() {
        let error = SettingsArgs::default().load().unwrap_err();
        assert!(error.to_string().starts_with("--syncer-image must be set"));
    }
}
