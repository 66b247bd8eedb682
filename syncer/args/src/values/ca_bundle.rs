use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::values::text::serde_by_text;

/// Maximum length of a [`CaBundle`] in bytes. It is a variable of a container, and Linux accepts no
/// variable of more than 128 KiB (`MAX_ARG_STRLEN`).
const LONGEST: usize = 64 * 1024;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// CA certificates, in PEM. Text between them, such as their names, is removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaBundle(String);

/// Error of parsing a [`CaBundle`]; it repeats nothing of the text, which may be a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseCaBundleError {
    /// There is something else in PEM.
    #[error(
        "line {0} is not the start of a certificate: expected only PEM certificates, no private key"
    )]
    Other(usize),
    /// A certificate is damaged, or its end is missing.
    #[error("certificate {0} cannot be parsed: expected complete PEM certificates")]
    Damaged(usize),
    /// There is no certificate.
    #[error("no certificate: expected certificates in PEM (-----BEGIN CERTIFICATE-----)")]
    Empty,
    /// The text is too long.
    #[error("certificates of {0} bytes: expected at most 65536")]
    TooLong(usize),
}

impl CaBundle {
    /// The certificates, each with its line break at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CaBundle {
    type Err = ParseCaBundleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut certificates = String::new();
        let mut number = 0;
        let mut open: Option<String> = None;
        for (at, line) in text.lines().map(str::trim_end).enumerate() {
            if line == BEGIN {
                number += 1;
                if open.replace(String::new()).is_some() {
                    return Err(ParseCaBundleError::Damaged(number - 1));
                }
            } else if line.contains("-----BEGIN ") {
                return Err(ParseCaBundleError::Other(at + 1));
            }
            let Some(block) = &mut open else { continue };
            block.push_str(line);
            block.push('\n');
            if line == END {
                if !is_certificate(block) {
                    return Err(ParseCaBundleError::Damaged(number));
                }
                certificates.push_str(block);
                open = None;
            }
        }
        match certificates.len() {
            _ if open.is_some() => Err(ParseCaBundleError::Damaged(number)),
            0 => Err(ParseCaBundleError::Empty),
            length if length > LONGEST => Err(ParseCaBundleError::TooLong(length)),
            _ => Ok(Self(certificates)),
        }
    }
}

/// Whether the syncer's own TLS client can trust a block of PEM. The client skips other blocks
/// silently, and then nothing explains why a server is not trusted.
fn is_certificate(block: &str) -> bool {
    let certificate = CertificateDer::from_pem_slice(block.as_bytes());
    certificate.is_ok_and(|certificate| webpki::anchor_from_trusted_cert(&certificate).is_ok())
}

impl fmt::Display for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(hidden CaBundle, |value| value.as_str());

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = include_str!("../../testdata/ca.pem");

    fn refused(text: &str) -> ParseCaBundleError {
        text.parse::<CaBundle>().unwrap_err()
    }

    #[test]
    fn certificates_are_kept_and_text_between_them_is_removed() {
        let read = |text: &str| text.parse::<CaBundle>().unwrap().to_string();
        assert_eq!(read(ONE), ONE);
        let two = format!("# the first: $(HOME)\n{ONE}\nthe second\n{ONE}");
        assert_eq!(read(&two), format!("{ONE}{ONE}"));
        assert_eq!(read(&two.replace('\n', "\r\n")), format!("{ONE}{ONE}"));
        assert_eq!(read(ONE.trim_end()), ONE);
    }

    #[test]
    fn an_invalid_certificate_is_refused_with_its_position() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let lines = ONE.lines().count();
        let cut = ONE.replace(END, "");
        for (text, expected) in [
            (String::new(), ParseCaBundleError::Empty),
            ("company-ca.pem".to_owned(), ParseCaBundleError::Empty),
            // A YAML folded scalar replaces line breaks by spaces.
            (ONE.replace('\n', " "), ParseCaBundleError::Other(1)),
            (key.to_owned(), ParseCaBundleError::Other(1)),
            (format!("{ONE}{key}"), ParseCaBundleError::Other(lines + 1)),
            (
                format!("{ONE}  {ONE}"),
                ParseCaBundleError::Other(lines + 1),
            ),
            (format!("{ONE}{cut}"), ParseCaBundleError::Damaged(2)),
            (format!("{cut}{ONE}"), ParseCaBundleError::Damaged(1)),
            (
                format!("{BEGIN}\nAAAA\n{END}"),
                ParseCaBundleError::Damaged(1),
            ),
            (format!("{BEGIN}\n!\n{END}"), ParseCaBundleError::Damaged(1)),
        ] {
            assert_eq!(refused(&text), expected, "{text}");
        }
    }

    #[test]
    fn their_length_is_limited() {
        let most = LONGEST / ONE.len();
        assert!(ONE.repeat(most).parse::<CaBundle>().is_ok());
        let length = (most + 1) * ONE.len();
        let expected = format!("certificates of {length} bytes: expected at most {LONGEST}");
        assert_eq!(refused(&ONE.repeat(most + 1)).to_string(), expected);
    }
}
