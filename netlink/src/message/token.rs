//! Enumerations that travel as a u32 and are shown as a word.

/// Declares a `Copy` enum with its number on the wire and its token, both stable.
macro_rules! tokens {
    ($(#[$meta:meta])* $name:ident, default $default:ident { $($(#[$doc:meta])* $variant:ident = $number:literal $token:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum $name { $($(#[$doc])* $variant = $number,)* }

        impl $name {
            /// Every value, in the order of its number.
            pub const ALL: &'static [$name] = &[$(Self::$variant,)*];

            /// The token: the same word in commands, messages and screens.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $token,)* }
            }

            /// The value with this number on the wire.
            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| *value as u32 == number)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Error;

            fn from_str(token: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.name() == token).ok_or_else(|| {
                    crate::error::Error::UnknownToken {
                        token: token.to_owned(),
                        known: Self::ALL.iter().map(|value| value.name()).collect::<Vec<_>>().join(", "),
                    }
                })
            }
        }
    };
}

pub(crate) use tokens;
