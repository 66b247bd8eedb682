//! git's configuration for the pull-through cache, and the CAs of the cache.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use args::CaBundle;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::CacheConfig;
use crate::redact::HiddenSecrets;
use crate::remote::auth::AuthError;
use crate::remote::auth::RemoteCredentials;
use crate::remote::auth::config_file::ConfigFile;
use crate::remote::auth::error::write;
use crate::remote::private::Private;
use crate::system::files;

/// The text of a file that includes git's configuration at `gitconfig` and has the settings for the
/// cache.
///
/// git would send its first request without credentials, and ask its helper for those of the cache's
/// address; so the header is here.
pub(super) fn settings(
    cache: &CacheConfig,
    gitconfig: &Path,
    grant: &RemoteCredentials,
    hidden: &mut HiddenSecrets,
) -> String {
    let mut settings = ConfigFile::default();
    settings.set("include.path", &gitconfig.display().to_string());
    let of_cache = |name: &str| format!("http.{}.{name}", cache.url);
    if let Some(user) = &grant.http {
        let pair = STANDARD.encode(format!("{}:{}", user.username, user.password));
        hidden.add(&pair);
        let header = format!("Authorization: Basic {pair}");
        settings.set(&of_cache("extraHeader"), &header);
    }
    if let Some(ca) = &grant.cache_ca {
        settings.set(&of_cache("sslCAInfo"), &ca.display().to_string());
    }
    settings.set(&of_cache("sslVerify"), "true");
    settings.set(&of_cache("proxy"), "");
    settings.set(&of_cache("followRedirects"), "false");
    settings.set(&of_cache("cookieFile"), "");
    settings.to_string()
}

/// The file of the cache's CAs: the configured ones, and those that [`learn_cas`] has added for the
/// same configuration, which an earlier process may have done. `None` if the system's are used.
pub(super) fn ca_file(
    cache: &CacheConfig,
    private: &Private,
) -> Result<Option<PathBuf>, AuthError> {
    let Some(configured) = &cache.ca else {
        return Ok(None);
    };
    let path = private.path("cache-ca.crt");
    let is_kept =
        fs::read(&path).is_ok_and(|text| text.starts_with(configured.as_str().as_bytes()));
    if !is_kept {
        write(&path, configured.as_str().as_bytes(), files::SECRET_MODE)?;
    }
    Ok(Some(path))
}

/// Trusts these CAs for the cache from now on, in addition to the configured ones; returns whether
/// the file at `path` has changed.
#[cfg_attr(not(feature = "poller"), allow(dead_code))]
pub(crate) fn learn_cas(path: &Path, configured: &CaBundle, cas: &CaBundle) -> io::Result<bool> {
    let mut text = configured.as_str().to_owned();
    if cas != configured {
        text.push_str(cas.as_str());
    }
    if fs::read(path).is_ok_and(|known| known == text.as_bytes()) {
        return Ok(false);
    }
    files::write_atomic(path, text.as_bytes(), files::SECRET_MODE)?;
    Ok(true)
}
