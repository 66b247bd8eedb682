use serde::Deserialize;
use serde::Serialize;
use url::Url;

/// The proxies of syncers; the names are those of OpenShift's `Proxy`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Proxy {
    /// For http addresses.
    #[serde(
        default,
        deserialize_with = "read",
        skip_serializing_if = "Option::is_none"
    )]
    pub http_proxy: Option<String>,
    /// For https addresses; ssh knows no proxy.
    #[serde(
        default,
        deserialize_with = "read",
        skip_serializing_if = "Option::is_none"
    )]
    pub https_proxy: Option<String>,
    /// Hosts, domains and networks that are reached directly, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
}

impl Proxy {
    pub(super) fn is_none(&self) -> bool {
        self.variables().next().is_none()
    }

    /// The proxy variables for git and for the syncer's own HTTP calls. In lower case: curl ignores
    /// `HTTP_PROXY`, which a CGI request may set (<https://httpoxy.org>).
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self {
            http_proxy,
            https_proxy,
            no_proxy,
        } = self;
        let all = [
            ("http_proxy", http_proxy),
            ("https_proxy", https_proxy),
            ("no_proxy", no_proxy),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// The error does not repeat the text: it may contain a password.
fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let url = Url::parse(&text).ok().filter(Url::has_host);
    let Some(url) = url else {
        let expected = "expected an address such as http://proxy.example:3128";
        return Err(serde::de::Error::custom(expected));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let sentence = "credentials of a proxy are visible to everyone who can read the Pods; expected an address without credentials";
        return Err(serde::de::Error::custom(sentence));
    }
    Ok(Some(text))
}
