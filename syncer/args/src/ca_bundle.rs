use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::text::serde_by_text;

/// How long a [`CaBundle`] may be. It is a variable of a container, and Linux takes none of more than
/// 128 KiB (`MAX_ARG_STRLEN`).
const LONGEST: usize = 64 * 1024;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Certificates of authorities, in PEM. What stands between them, such as their names, is left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaBundle(String);

/// Says why a text is not a [`CaBundle`]; nothing of the text is repeated, since it may be a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseCaBundleError {
    /// There is something else in PEM.
    #[error(
        "line {0} begins something else than a certificate: expected certificates in PEM alone, \
         and no private key"
    )]
    Other(usize),
    /// A certificate is damaged, or its end is missing.
    #[error("certificate {0} cannot be read: expected certificates in PEM, each whole")]
    Damaged(usize),
    /// There is none.
    #[error("no certificate: expected certificates in PEM (-----BEGIN CERTIFICATE-----)")]
    Empty,
    /// There are too many.
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

/// Tells whether our own calls could trust what is in a block of PEM: they pass over the rest, and
/// nobody would learn why a server is not trusted.
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

    const ONE: &str = include_str!("../testdata/ca.pem");

    fn refused(text: &str) -> ParseCaBundleError {
        text.parse::<CaBundle>().unwrap_err()
    }

    #[test]
    fn certificates_stay_and_what_is_between_them_goes() {
        let read = |text: &str| text.parse::<CaBundle>().unwrap().to_string();
        assert_eq!(read(ONE), ONE);
        let two = format!("# the first: $(HOME)\n{ONE}\nthe second\n{ONE}");
        assert_eq!(read(&two), format!("{ONE}{ONE}"));
        assert_eq!(read(&two.replace('\n', "\r\n")), format!("{ONE}{ONE}"));
        assert_eq!(read(ONE.trim_end()), ONE);
    }

    #[test]
    fn what_is_no_certificate_is_refused_by_its_place() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let lines = ONE.lines().count();
        let cut = ONE.replace(END, "");
        for (text, expected) in [
            (String::new(), ParseCaBundleError::Empty),
            ("company-ca.pem".to_owned(), ParseCaBundleError::Empty),
            // As YAML folds it.
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
    fn there_is_an_end_to_their_length() {
        let most = LONGEST / ONE.len();
        assert!(ONE.repeat(most).parse::<CaBundle>().is_ok());
        let length = (most + 1) * ONE.len();
        let expected = format!("certificates of {length} bytes: expected at most {LONGEST}");
        assert_eq!(refused(&ONE.repeat(most + 1)).to_string(), expected);
    }
}
