//! Secrets that are redacted from the log, and for how long.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::redact;
use crate::redact::HiddenSecrets;
use crate::remote::auth::error::AuthError;

/// The secrets that are in use.
#[derive(Default)]
pub(super) struct Hidden {
    granted: HiddenSecrets,
    /// Those of the previous credentials, which a running command may still report.
    before: HiddenSecrets,
    /// Those of a failed attempt.
    failed: HiddenSecrets,
}

impl Hidden {
    /// Hides the secrets of a new attempt and drops those of an earlier one.
    pub(super) fn replace(&mut self, secrets: HiddenSecrets, is_granted: bool) {
        if is_granted {
            self.before = std::mem::replace(&mut self.granted, secrets);
        } else {
            self.failed = secrets;
        }
    }
}

/// Redacts a header of git's configuration, and the password in it if it is HTTP basic
/// authentication.
pub(super) fn hide_header(header: &str) {
    let (_, value) = header.split_once(':').unwrap_or(("", header));
    redact::hide_for_good(value);
    let Some((_, secret)) = value.trim().split_once(' ') else {
        return;
    };
    redact::hide_for_good(secret);
    let basic = STANDARD.decode(secret.trim()).unwrap_or_default();
    if let Some((_, password)) = String::from_utf8_lossy(&basic).split_once(':') {
        redact::hide_for_good(password);
    }
}

/// Redacts the cookies' values, the last of seven fields.
pub(super) fn hide_cookies(path: &Path, hidden: &mut HiddenSecrets) -> Result<(), AuthError> {
    let cookies = fs::read(path).map_err(|source| AuthError::Read {
        path: path.to_owned(),
        source,
    })?;
    for line in String::from_utf8_lossy(&cookies).lines() {
        if let Some(value) = line.split('\t').nth(6) {
            hidden.add(value);
        }
    }
    Ok(())
}
