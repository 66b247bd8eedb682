use std::fmt;

/// The part of an address before its host: nothing, a user name, or credentials.
///
/// A user name alone is not a credential: "Clone" buttons produce `https://ORG@dev.azure.com/…`,
/// whose password comes from elsewhere. An access token in place of the user name is one: git hosts
/// accept it without a password.
#[derive(Clone, Eq, PartialEq)]
pub enum UserInfo {
    /// There is no user.
    None,
    /// A user name, decoded.
    Name(String),
    /// Credentials, decoded.
    Credentials {
        /// The user name, which may itself be the secret.
        username: String,
        /// The password; empty if the user name is a token.
        password: String,
    },
}

impl UserInfo {
    pub(crate) fn new(username: String, password: Option<String>) -> Self {
        match password.filter(|password| !password.is_empty()) {
            Some(password) => Self::Credentials { username, password },
            None if username.is_empty() => Self::None,
            None if is_token(&username) => Self::Credentials {
                username,
                password: String::new(),
            },
            None => Self::Name(username),
        }
    }

    /// The user name, if it is not part of credentials.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::None | Self::Credentials { .. } => None,
        }
    }

    /// Whether it contains a secret: a password, or a token in place of the user name.
    pub fn has_secret(&self) -> bool {
        matches!(self, Self::Credentials { .. })
    }
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Name(_) => "Name(HIDDEN)",
            Self::Credentials { .. } => "Credentials(REDACTED)",
        })
    }
}

/// Prefixes of the access tokens that git hosts accept in place of a user name.
///
/// - GitHub: <https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/>
/// - GitLab: <https://docs.gitlab.com/security/tokens/#token-prefixes>
/// - Bitbucket: API tokens, app passwords, repository access tokens; Data Center's HTTP tokens
///   (<https://support.atlassian.com/bitbucket-cloud/docs/access-tokens/>)
pub const TOKEN_PREFIXES: [&str; 18] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glcbt-",
    "glft-",
    "gloas-",
    "glptt-",
    "glrt-",
    "glsoat-",
    "ATATT3",
    "ATBB",
    "ATCTT3",
    "BBDC-",
];

/// Whether a user name is an access token, by its prefix or its exact form: 40 hexadecimal digits
/// (Gitea, Forgejo, Gogs, and GitHub before 2021), 52 characters of base32 (Azure DevOps), or 84
/// characters with `AZDO` near the end (newer Azure DevOps tokens,
/// <https://learn.microsoft.com/azure/devops/release-notes/roadmap/2024/azure-devops-pats>).
pub fn is_token(user: &str) -> bool {
    let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    let is_base32 = |c: u8| matches!(c, b'2'..=b'7' | b'a'..=b'z');
    TOKEN_PREFIXES.iter().any(|prefix| user.starts_with(prefix))
        || user.len() == 40 && user.bytes().all(is_hex)
        || user.len() == 52 && user.bytes().all(is_base32)
        || user.len() == 84 && user.get(76..80) == Some("AZDO")
}

/// Whether a user name may be an access token of unknown form: long, with letters and digits mixed.
/// For output only: redacting an ordinary name by mistake does no harm.
pub fn may_be_token(user: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '=' | '+' | '/');
    let digits = user.chars().filter(char::is_ascii_digit).count();
    let letters = user.chars().filter(char::is_ascii_alphabetic).count();
    is_token(user) || user.len() >= 20 && digits >= 3 && letters >= 3 && user.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_token_is_recognised_by_its_documented_form() {
        let base32 = "a2b3c4d5e6f7".repeat(5)[..52].to_owned();
        let azure = format!("{}AZDO{}", "A1".repeat(38), "b2c3");
        for token in ["ghp_x", "glpat-x", "ATBBx", "ATCTT3x", HEX, &base32, &azure] {
            assert!(is_token(token) && may_be_token(token), "{token}");
        }
        for name in [
            "acme",
            "build-bot",
            "me@corp.example",
            "x-token-auth",
            "deploy-key-2024",
            "alice-at-111111111111",
            "ATTENTION",
        ] {
            assert!(!is_token(name), "{name}");
        }
        assert!(may_be_token("Ab1Cd2Ef3Gh4Ij5Kl6Mn"));
        assert!(!may_be_token("continuous-integration"));
    }

    #[test]
    fn debug_output_shows_no_user_and_no_password() {
        let info = UserInfo::new("ghp_secret".to_owned(), None);
        assert_eq!(format!("{info:?}"), "Credentials(REDACTED)");
    }
}
