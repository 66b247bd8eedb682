//! Macros that generate the enum of keys from the table of annotations.

macro_rules! prefix {
    () => {
        "gitvolume.dev/"
    };
}

macro_rules! annotations {
    ($($key:ident = $text:literal {
        scope: $scope:ident,
        grammar: $grammar:expr,
        $(default: $default:literal,)?
        example: $example:literal,
        meaning: $meaning:literal,
        read: $read:expr,
    })*) => {
        /// The key of an annotation; in the table's order, in which mistakes are reported.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Key {
            $(
                #[doc = concat!("`", $text, "`")]
                $key,
            )*
        }

        impl Key {
            /// The key without [`PREFIX`].
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$key => $text,)*
                }
            }

            /// The whole key of the annotation, with [`PREFIX`].
            pub const fn annotation(self) -> &'static str {
                match self {
                    $(Self::$key => concat!(prefix!(), $text),)*
                }
            }

            /// The key of this text, without [`PREFIX`].
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$key),)*
                    _ => None,
                }
            }
        }

        /// Every annotation that is known, in the order in which mistakes are reported.
        pub const ANNOTATIONS: &[Annotation] = &[
            $(Annotation {
                key: Key::$key,
                scope: Scope::$scope,
                grammar: $grammar,
                default: [$(Some($default),)? None][0],
                example: $example,
                meaning: $meaning,
                read: Read::$scope($read),
            },)*
        ];
    };
}

pub(crate) use annotations;
pub(crate) use prefix;
