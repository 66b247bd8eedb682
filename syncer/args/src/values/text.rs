/// Implements serde for a type by its text form: `serde_by_text!(shown Type, |value| text)`. Errors
/// of a `hidden` type do not repeat the input, which may contain a password.
macro_rules! serde_by_text {
    (@read shown $text:ident, $error:ident) => {
        format!("{:?}: {}", $text, $error)
    };
    (@read hidden $text:ident, $error:ident) => {
        $error.to_string()
    };
    ($shown:ident $type:ty, |$value:ident| $written:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                to.serialize_str(&$written)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(|error: <Self as std::str::FromStr>::Err| {
                    serde::de::Error::custom(serde_by_text!(@read $shown text, error))
                })
            }
        }
    };
}

pub(crate) use serde_by_text;
