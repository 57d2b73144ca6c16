//! What the server adds to a request.

use super::connection::Connection;
use http::Extensions;
use percent_encoding::percent_decode_str;
use std::ops::Range;
use std::sync::Arc;

/// What handlers ask a request beside what `http` knows.
pub trait RequestExt {
    /// What the wildcard `name` of the [`Mux`](super::Mux)'s pattern stands for, decoded; empty if the pattern has no
    /// such wildcard.
    ///
    /// Whatever a client likes can stand there, slashes and dots too: `%2e%2e%2f` is `../`.
    fn path_value(&self, name: &str) -> &str;

    /// The connection that it came by, of a server that accepts [itself](super::Server::serve).
    fn connection(&self) -> Option<&Connection>;

    /// Has [`path_value`](Self::path_value) answer `value` for `name`, for other routers than ours, and
    /// for tests of handlers.
    fn set_path_value(&mut self, name: &str, value: impl Into<String>);
}

impl<B> RequestExt for http::Request<B> {
    fn path_value(&self, name: &str) -> &str {
        let values = self.extensions().get::<PathValues>();
        let mut values = values.into_iter().flat_map(|values| values.0.iter().rev());
        values.find(|(other, _)| **other == *name).map_or("", |(_, value)| value)
    }

    fn connection(&self) -> Option<&Connection> {
        self.extensions().get().filter(|connection: &&Connection| connection.is_known())
    }

    fn set_path_value(&mut self, name: &str, value: impl Into<String>) {
        PathValues(vec![(name.into(), value.into())]).add_to(self.extensions_mut());
    }
}

/// The wildcards of all patterns that have matched on the way, and what they stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct PathValues(Vec<(Arc<str>, String)>);

impl PathValues {
    /// Those at `places` in `path`; `None` if one is not UTF-8.
    pub(super) fn decode(names: &[Arc<str>], path: &str, places: &[Range<usize>]) -> Option<Self> {
        let values = names.iter().zip(places).map(|(name, place)| {
            let value = percent_decode_str(&path[place.clone()]).decode_utf8().ok()?;
            Some((Arc::clone(name), value.into_owned()))
        });
        values.collect::<Option<_>>().map(Self)
    }

    /// Puts them before those that are there.
    pub(super) fn add_to(self, extensions: &mut Extensions) {
        extensions.get_or_insert_default::<Self>().0.extend(self.0);
    }
}
