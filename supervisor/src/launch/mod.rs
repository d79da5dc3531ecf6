//! How the processes of dsx come to be: where their files lie, which lock decides who is first, how a client
//! finds the supervisor or starts one, and the one fork and exec that all of them (and every agent) go through.

pub mod connect;
pub(crate) mod exec;
pub mod inherited;
pub mod lock;
pub mod origin;
pub mod paths;
pub(crate) mod pidfd;
pub mod private_dir;
pub(crate) mod verdict;

pub use connect::{LaunchError, connect, connect_existing};
pub use inherited::{Inherited, InheritedError};
pub use origin::{Origin, OriginError};
pub use paths::{Paths, PathsError};
pub use private_dir::DirectoryError;
