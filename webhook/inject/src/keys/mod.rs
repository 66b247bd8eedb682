//! Annotations: one table of keys, the grammars of their values, the author's mistakes, and
//! suggestions for misspelt keys.

pub(crate) mod key;
pub(crate) mod macros;
pub(crate) mod page;
pub(crate) mod refusal;
pub(crate) mod suggest;
pub(crate) mod table;
pub(crate) mod value;
pub(crate) mod wide;
