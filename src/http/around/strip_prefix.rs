use super::super::handler::{Handler, Request};
use super::super::response::Response;
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use std::io;

/// Handler that hands requests on without the start of their path.
///
/// Made by [`Handler::strip_prefix`]. The prefix is whole segments, as they are written in the request;
/// what does not begin with it is answered with 404. When the handler within returns, the request is as
/// it was.
#[derive(Debug, Clone)]
pub struct StripPrefix<H> {
    inner: H,
    prefix: String,
}

impl<H> StripPrefix<H> {
    /// `inner`, without `prefix`.
    pub fn new(inner: H, prefix: &str) -> Self {
        Self { inner, prefix: prefix.trim_end_matches('/').into() }
    }

    fn stripped(&self, uri: &Uri) -> Option<Uri> {
        let rest = uri.path().strip_prefix(&self.prefix)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let path = if rest.is_empty() { "/" } else { rest };
        let target = uri.query().map(|query| format!("{path}?{query}"));
        let target = target.map_or_else(|| path.parse(), PathAndQuery::try_from).ok()?;
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(target);
        Uri::from_parts(parts).ok()
    }
}

impl<H: Handler> Handler for StripPrefix<H> {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let Some(stripped) = self.stripped(request.uri()) else {
            return response.error(StatusCode::NOT_FOUND, "there is nothing here");
        };
        let whole = std::mem::replace(request.uri_mut(), stripped);
        let result = self.inner.serve(request, response);
        *request.uri_mut() = whole;
        result
    }
}
