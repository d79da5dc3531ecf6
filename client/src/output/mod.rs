//! How things are shown to people. What an agent said passes [`sanitize`] before it gets here or anywhere
//! else on a terminal; only `attach`, `--ansi` and `--raw` show bytes as they came.

pub mod colour;
pub mod sanitize;
pub mod table;
pub mod time;
pub mod width;
