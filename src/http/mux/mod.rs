//! Which handler answers which request.

mod path;
mod pattern;
#[cfg(test)]
mod tests;
mod tree;

use self::pattern::{Pattern, Relation};
use self::tree::{Match, Node};
use super::handler::{Handler, Request};
use super::head;
use super::request::PathValues;
use super::response::Response;
use crate::error;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use std::borrow::Cow;
use std::fmt;
use std::io;

/// A handler that hands each request to another one, by its method, host and path.
///
/// # Patterns
///
/// `[METHOD ][HOST]/path`. The path is matched segment by segment, after decoding:
///
/// | in the pattern | in the path |
/// |---|---|
/// | `/text` | just that |
/// | `/{name}` | one segment, not empty |
/// | `/{name...}`, at the end | all that follows, slashes included |
/// | `/`, at the end | the same, without a name |
/// | `/{$}`, at the end | the slash, and nothing after it |
///
/// `GET` matches HEAD as well, and no method any. A host is matched without its port.
///
/// **The most specific pattern wins**, whatever the order in which they came: the one whose requests are
/// a part of the other's. `/items/new` beats `/items/{id}`, and `GET /items/` beats `/`. Two patterns of
/// which neither is more specific, though some request matches both, cannot stand side by side, and
/// [`handle`](Self::handle) refuses the second. Patterns with a host go before those without.
///
/// # Answers of its own
///
/// * 404 if no pattern matches, 405 with `Allow` if one does for another method.
/// * A path with dots or empty segments (`/a/../b`, `//`; `%2e` is a dot too) is redirected to the plain
///   one, and never reaches a handler. So is `/dir`, to `/dir/`, if only that is there.
/// * 400 if what a wildcard stands for is not UTF-8.
///
/// Redirects are of status 307, so that the method stays.
///
/// # Examples
///
/// ```
/// use aqueduct::http::{Mux, RequestExt, Server, StatusCode};
/// use std::io::{Read, Write};
///
/// let mut mux = Mux::new();
/// mux.handle_fn("GET /items/{id}", |request, response| {
///     write!(response, "item {}", request.path_value("id"))
/// })?;
/// mux.handle_fn("POST /items", |request, response| {
///     let text = request.body_mut().text(1 << 16)?;
///     response.set_status(StatusCode::CREATED).set("Location", format!("/items/{text}"))?;
///     Ok(())
/// })?;
///
/// let (mut client, connection) = aqueduct::duplex_with_capacity(1024);
/// client.write_all(b"GET /items/7 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
/// Server::new(mux).serve_connection(connection)?;
///
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("\r\n\r\nitem 7"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct Mux {
    routes: Vec<Route>,
    /// Patterns without a host.
    anywhere: Node,
    hosts: Vec<(String, Node)>,
}

struct Route {
    pattern: Pattern,
    handler: Box<dyn Handler + Send + Sync>,
}

impl Mux {
    /// One that knows no pattern yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has `handler` answer the requests that `pattern` matches.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `pattern` is none, or conflicts with one that is there, which is named then.
    ///
    /// ```
    /// use aqueduct::http::{Mux, handler};
    ///
    /// let mut mux = Mux::new();
    /// let any = handler(|_, _| Ok(()));
    /// mux.handle("/{user}/settings", any)?;
    /// let error = mux.handle("/admin/{page}", any).unwrap_err();
    /// assert!(error.to_string().contains("/{user}/settings"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handle<H>(&mut self, pattern: &str, handler: H) -> io::Result<&mut Self>
    where
        H: Handler + Send + Sync + 'static,
    {
        let pattern = Pattern::parse(pattern)?;
        for Route { pattern: other, .. } in &self.routes {
            let why = match pattern.relation(other) {
                Relation::Same => "they match the same requests",
                Relation::Overlapping => {
                    "some requests match both, and neither pattern is more specific"
                }
                Relation::Narrower | Relation::Wider | Relation::Disjoint => continue,
            };
            return Err(error::patterns_conflict(&pattern.text, &other.text, why));
        }
        let number = self.routes.len();
        self.tree_mut(&pattern.host).insert(&pattern, number);
        self.routes.push(Route { pattern, handler: Box::new(handler) });
        Ok(self)
    }

    /// As [`handle`](Self::handle), with a closure whose arguments need no types.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn handle_fn<F>(&mut self, pattern: &str, f: F) -> io::Result<&mut Self>
    where
        F: Fn(&mut Request<'_>, &mut Response<'_>) -> io::Result<()> + Send + Sync + 'static,
    {
        self.handle(pattern, f)
    }

    fn tree_mut(&mut self, host: &str) -> &mut Node {
        if host.is_empty() {
            return &mut self.anywhere;
        }
        let at = self.hosts.iter().position(|(other, _)| other == host).unwrap_or_else(|| {
            self.hosts.push((host.into(), Node::default()));
            self.hosts.len() - 1
        });
        &mut self.hosts[at].1
    }

    /// The trees to look in, the more specific one first.
    fn trees(&self, request: &Request<'_>) -> impl Iterator<Item = &Node> {
        let hosts = host(request).and_then(|host| {
            let named = |(other, _): &&(String, Node)| other.eq_ignore_ascii_case(&host);
            self.hosts.iter().find(named)
        });
        hosts.map(|(_, tree)| tree).into_iter().chain([&self.anywhere])
    }

    fn find(&self, request: &Request<'_>, path: &str) -> Option<Match> {
        if self.hosts.is_empty() {
            return self.anywhere.find(request.method(), path);
        }
        self.trees(request).find_map(|tree| tree.find(request.method(), path))
    }

    /// The methods that are served at `path`.
    fn allowed(&self, request: &Request<'_>, path: &str) -> Vec<Method> {
        let mut methods = Vec::new();
        self.trees(request).for_each(|tree| tree.methods(path, &mut methods));
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        methods
    }

    fn not_found(
        &self,
        request: &Request<'_>,
        path: &str,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        let allowed = self.allowed(request, path);
        if allowed.is_empty() {
            return response.error(StatusCode::NOT_FOUND, "there is nothing here");
        }
        let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
        response.set(header::ALLOW, names.join(", "))?;
        let text = format!("{} is not served here", request.method());
        response.error(StatusCode::METHOD_NOT_ALLOWED, text)
    }
}

impl Handler for Mux {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let path = match request.uri().path() {
            // A question about the server as a whole.
            "*" => return Ok(()),
            // CONNECT names no path.
            "" => "/",
            path => path,
        };
        if let Some(plain) = path::cleaned(path) {
            return redirect(request.uri(), &plain, response);
        }
        let found = self.find(request, path);
        let exact =
            |found: &Option<Match>, path| found.as_ref().is_some_and(|it| it.is_exact(path));
        if !exact(&found, path) && !path.ends_with('/') {
            let slashed = format!("{path}/");
            if exact(&self.find(request, &slashed), &slashed) {
                return redirect(request.uri(), &slashed, response);
            }
        }
        let Some(Match { number, mut values, rest }) = found else {
            return self.not_found(request, path, response);
        };
        let Route { pattern, handler } = &self.routes[number];
        if !pattern.names.is_empty() {
            values.extend(rest.map(|at| at..path.len()));
            let Some(values) = PathValues::decode(&pattern.names, path, &values) else {
                return response.error(StatusCode::BAD_REQUEST, "the path is not UTF-8");
            };
            values.add_to(request.extensions_mut());
        }
        handler.serve(request, response)
    }
}

fn redirect(uri: &Uri, path: &str, response: &mut Response<'_>) -> io::Result<()> {
    let location = match uri.query() {
        Some(query) => Cow::Owned(format!("{path}?{query}")),
        None => Cow::Borrowed(path),
    };
    response.redirect(StatusCode::TEMPORARY_REDIRECT, &location)
}

/// The host that was asked for: that of the target, which goes before the field.
fn host(request: &Request<'_>) -> Option<String> {
    let field = || request.headers().get(header::HOST).map(HeaderValue::to_str)?.ok();
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    authority.or_else(field).map(|authority| head::without_port(authority).to_owned())
}

impl fmt::Debug for Mux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|route| &route.pattern.text)).finish()
    }
}
