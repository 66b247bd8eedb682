//! The macro that declares a struct of flags.

/// Declares a struct of flags, each in one place.
///
/// A field's doc comment is the flag's description: `--help` prints the first paragraph, `--man`
/// all of it. The attribute contains the name, the placeholder of the value, the programs that have
/// the flag, its variables with the present one first, its conversion to an annotation, and
/// `always` if an argv that we write contains it even at its default. A field without a default
/// starts empty, as `false`, or as 0.
macro_rules! flags {
    (
        $(#[$meta:meta])*
        pub struct $args:ident {
            $(
                $(#[doc = $doc:literal])+
                #[flag($name:literal, $value:literal, $source:ident, [$($env:literal),*]
                    => $conversion:expr $(, $always:ident)?)]
                $field:ident: $type:ty $(= $default:expr)?,
            )*
        }
    ) => {
        $(#[$meta])*
        pub struct $args {
            $(
                $(#[doc = $doc])+
                pub $field: $type,
            )*
        }

        impl Default for $args {
            fn default() -> Self {
                Self { $($field: flags!(@default $($default)?),)* }
            }
        }

        impl $args {
            /// The flags in the order of the fields.
            pub(crate) const FLAGS: &'static [Flag] = &[$(Flag {
                name: $name,
                value: $value,
                env: &[$($env),*],
                docs: &[$($doc),+],
                kind: <$type as FlagValue>::KIND,
                choices: <$type as FlagValue>::choices,
                source: Source::$source,
                conversion: $conversion,
                is_always_written: flags!(@is_always $($always)?),
            }),*];

            /// Sets the flag of this name to well-formed texts; no text means no value.
            pub(crate) fn set(&mut self, name: &str, texts: &[String]) -> Result<(), WrongValue> {
                match name {
                    $($name => self.$field = FlagValue::read(texts)?,)*
                    _ => {}
                }
                Ok(())
            }

            /// The texts that set each flag, in the order of the fields.
            pub(crate) fn write(&self) -> impl Iterator<Item = (&'static Flag, Vec<String>)> + use<> {
                Self::FLAGS.iter().zip([$(self.$field.write()),*])
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@is_always) => { false };
    (@is_always always) => { true };
}

pub(crate) use flags;
