//! git's configuration for the pull-through cache.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::CacheConfig;
use crate::config::Credentials;
use crate::redact::HiddenSecrets;
use crate::remote::auth::AuthError;
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
    private: &Private,
    gitconfig: &Path,
    user: Option<&Credentials>,
    hidden: &mut HiddenSecrets,
) -> Result<String, AuthError> {
    let mut settings = ConfigFile::default();
    settings.set("include.path", &gitconfig.display().to_string());
    let of_cache = |name: &str| format!("http.{}.{name}", cache.url);
    if let Some(user) = user {
        let pair = STANDARD.encode(format!("{}:{}", user.username, user.password));
        hidden.add(&pair);
        let header = format!("Authorization: Basic {pair}");
        settings.set(&of_cache("extraHeader"), &header);
    }
    if let Some(ca) = &cache.ca {
        let path = private.path("cache-ca.crt");
        write(&path, ca.as_str().as_bytes(), files::SECRET_MODE)?;
        settings.set(&of_cache("sslCAInfo"), &path.display().to_string());
    }
    settings.set(&of_cache("sslVerify"), "true");
    settings.set(&of_cache("proxy"), "");
    settings.set(&of_cache("followRedirects"), "false");
    settings.set(&of_cache("cookieFile"), "");
    Ok(settings.to_string())
}
