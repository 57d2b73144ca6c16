//! Patterns: what they say, and which of two says more.

use super::super::head::{self, without_port};
use crate::error;
use http::Method;
use percent_encoding::percent_decode_str;
use std::io;
use std::sync::Arc;

/// `[METHOD ][HOST]/path/{x}/{rest...}`, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) text: Arc<str>,
    pub(super) method: Option<Method>,
    /// In lower case; empty for any.
    pub(super) host: String,
    pub(super) segments: Vec<Segment>,
    /// The names of the wildcards that have one, in their order.
    pub(super) names: Vec<Arc<str>>,
}

/// What one segment of a path must be: the text between two slashes, or after the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This, decoded. Empty at the end only: the path ends with a slash.
    Literal(Box<str>),
    /// Anything but nothing.
    One,
    /// Anything from here on, slashes included.
    Rest,
}

/// How the requests that one pattern matches lie to those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Same,
    /// The first matches a part of what the second does.
    Narrower,
    Wider,
    Disjoint,
    /// Some are matched by both, others by the one or the other alone.
    Overlapping,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> io::Result<Self> {
        parse(text).map_err(|why| error::bad_pattern(text, why))
    }

    pub(super) fn relation(&self, other: &Self) -> Relation {
        if self.host != other.host {
            // A host decides before anything else, so there is nothing to compare.
            return Relation::Disjoint;
        }
        let methods = of_methods(self.method.as_ref(), other.method.as_ref());
        methods.and(of_paths(&self.segments, &other.segments))
    }
}

impl Relation {
    /// That of two pairs, where the first matches if both of its parts do.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Disjoint, _) | (_, Self::Disjoint) => Self::Disjoint,
            (Self::Same, relation) | (relation, Self::Same) => relation,
            (a, b) if a == b => a,
            _ => Self::Overlapping,
        }
    }
}

fn of_methods(a: Option<&Method>, b: Option<&Method>) -> Relation {
    match (a, b) {
        (a, b) if a == b => Relation::Same,
        (_, None) => Relation::Narrower,
        (None, _) => Relation::Wider,
        (Some(a), Some(b)) if *a == Method::HEAD && *b == Method::GET => Relation::Narrower,
        (Some(a), Some(b)) if *a == Method::GET && *b == Method::HEAD => Relation::Wider,
        _ => Relation::Disjoint,
    }
}

fn of_paths(a: &[Segment], b: &[Segment]) -> Relation {
    match (a, b) {
        ([], []) => Relation::Same,
        // Both end the path, so one of them has more segments.
        ([], _) | (_, []) => Relation::Disjoint,
        ([Segment::Rest], [Segment::Rest]) => Relation::Same,
        ([Segment::Rest], _) => Relation::Wider,
        (_, [Segment::Rest]) => Relation::Narrower,
        ([a, rest_a @ ..], [b, rest_b @ ..]) => of_segments(a, b).and(of_paths(rest_a, rest_b)),
    }
}

fn of_segments(a: &Segment, b: &Segment) -> Relation {
    match (a, b) {
        (Segment::Literal(a), Segment::Literal(b)) if a != b => Relation::Disjoint,
        (Segment::Literal(text), Segment::One) | (Segment::One, Segment::Literal(text))
            if text.is_empty() =>
        {
            Relation::Disjoint
        }
        (Segment::Literal(_), Segment::One) => Relation::Narrower,
        (Segment::One, Segment::Literal(_)) => Relation::Wider,
        _ => Relation::Same,
    }
}

fn parse(text: &str) -> Result<Pattern, &'static str> {
    let (method, rest) = match text.split_once([' ', '\t']) {
        Some((method, rest)) => (Some(method), rest.trim_start_matches([' ', '\t'])),
        None => (None, text),
    };
    let method = method.map(|name| Method::from_bytes(name.as_bytes()));
    let method = method.transpose().map_err(|_| "the method is no token")?;
    let (host, path) = rest.split_at(rest.find('/').ok_or("it has no path")?);
    let is_host = head::is_authority(host.as_bytes()) && without_port(host) == host;
    if !host.is_empty() && !is_host {
        return Err("the host is malformed, or has a port");
    }
    let mut pattern = Pattern {
        text: text.into(),
        method,
        host: host.to_ascii_lowercase(),
        segments: Vec::new(),
        names: Vec::new(),
    };
    let mut parts = path[1..].split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let segment = segment(part, last, &mut pattern.names)?;
        pattern.segments.push(segment);
    }
    Ok(pattern)
}

fn segment(part: &str, last: bool, names: &mut Vec<Arc<str>>) -> Result<Segment, &'static str> {
    if part.is_empty() {
        if !last {
            return Err("a segment of the path is empty");
        }
        return Ok(Segment::Rest);
    }
    let Some(inner) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
        return literal(part).map(Segment::Literal);
    };
    if inner == "$" {
        return if last { Ok(Segment::Literal("".into())) } else { Err("{$} is not at the end") };
    }
    let (name, segment) = match inner.strip_suffix("...") {
        Some(_) if !last => return Err("{...} is not at the end"),
        Some(name) => (name, Segment::Rest),
        None => (inner, Segment::One),
    };
    let mut letters = name.chars();
    let is_name = letters.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && letters.all(|c| c == '_' || c.is_alphanumeric());
    if !is_name {
        return Err("a wildcard has no proper name");
    }
    if names.iter().any(|other| **other == *name) {
        return Err("two wildcards have the same name");
    }
    names.push(name.into());
    Ok(segment)
}

fn literal(part: &str) -> Result<Box<str>, &'static str> {
    if part.contains(['{', '}']) {
        return Err("a wildcard is a whole segment");
    }
    if part.contains(|c: char| "?#".contains(c) || c.is_ascii_whitespace()) {
        return Err("no path holds what it does");
    }
    let text = percent_decode_str(part).decode_utf8().map_err(|_| "the path is not UTF-8")?;
    match &*text {
        "." | ".." => Err("dots are not matched: paths are cleaned before"),
        text => Ok(text.into()),
    }
}
