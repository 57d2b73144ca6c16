//! Handlers around handlers.

mod access_log;
mod limit_body;
mod redirect;
mod strip_prefix;
mod timeout;
mod until_left;

pub use self::access_log::AccessLog;
pub use self::limit_body::LimitBody;
pub use self::redirect::{Redirect, redirect};
pub use self::strip_prefix::StripPrefix;
pub use self::timeout::Timeout;
pub use self::until_left::UntilLeft;
