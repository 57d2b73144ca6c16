//! Patterns as a tree of segments, in which the most specific match is the first one found.
//!
//! At each segment a literal is tried before a wildcard, and that before the rest of the path. That
//! suffices: of two patterns that match the same request one is [narrower](super::pattern::Relation), and
//! where their paths differ first, it is the one with the literal, or without the rest.

use super::path::decoded;
use super::pattern::{Pattern, Segment};
use http::Method;
use std::ops::Range;

/// A place in the tree: a path's segments up to here.
#[derive(Debug, Default)]
pub(super) struct Node {
    literals: Vec<(Box<str>, Self)>,
    one: Option<Box<Self>>,
    /// Patterns that take whatever follows.
    rest: Routes,
    /// Patterns that end here.
    end: Routes,
}

/// Patterns of the same path, by their methods.
#[derive(Debug, Default)]
struct Routes(Vec<(Option<Method>, usize)>);

/// What a path was found to match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The number of the pattern.
    pub(super) number: usize,
    /// Where in the path lies what the wildcards for one segment stand for.
    pub(super) values: Vec<Range<usize>>,
    /// Where that of the last one begins, if it stands for the rest.
    pub(super) rest: Option<usize>,
}

impl Match {
    /// Whether nothing is left for a wildcard that stands for the rest.
    pub(super) fn is_exact(&self, path: &str) -> bool {
        self.rest.is_none_or(|at| at == path.len())
    }
}

impl Node {
    pub(super) fn insert(&mut self, pattern: &Pattern, number: usize) {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literal_or_new(text),
                Segment::One => node.one.get_or_insert_default(),
                Segment::Rest => {
                    node.rest.0.push((pattern.method.clone(), number));
                    return;
                }
            };
        }
        node.end.0.push((pattern.method.clone(), number));
    }

    fn literal_or_new(&mut self, text: &str) -> &mut Self {
        let at = self.literals.binary_search_by(|(other, _)| (**other).cmp(text));
        let at = at.unwrap_or_else(|at| {
            self.literals.insert(at, (text.into(), Self::default()));
            at
        });
        &mut self.literals[at].1
    }

    fn literal(&self, text: &str) -> Option<&Self> {
        let text = decoded(text)?;
        let at = self.literals.binary_search_by(|(other, _)| (**other).cmp(&*text)).ok()?;
        Some(&self.literals[at].1)
    }

    /// The most specific pattern for `method` and `path`, which begins with a slash.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<Match> {
        let mut found = Match { number: 0, values: Vec::new(), rest: None };
        let mut pick = |routes: &Routes| routes.pick(method);
        found.number = self.walk(path, 1, &mut found.values, &mut found.rest, &mut pick)?;
        Some(found)
    }

    /// The methods for which there are patterns that match `path`.
    pub(super) fn methods(&self, path: &str, methods: &mut Vec<Method>) {
        let mut note = |routes: &Routes| {
            methods.extend(routes.0.iter().filter_map(|(method, _)| method.clone()));
            None
        };
        self.walk(path, 1, &mut Vec::new(), &mut None, &mut note);
    }

    /// Goes down the tree along `path` from `at` on, a segment's start, until `pick` has picked.
    fn walk(
        &self,
        path: &str,
        at: usize,
        values: &mut Vec<Range<usize>>,
        rest: &mut Option<usize>,
        pick: &mut dyn FnMut(&Routes) -> Option<usize>,
    ) -> Option<usize> {
        // One past the end: the segment before was the last.
        let Some(left) = path.get(at..) else { return pick(&self.end) };
        let end = at + left.bytes().position(|b| b == b'/').unwrap_or(left.len());
        if let Some(node) = self.literal(&path[at..end]) {
            if let Some(number) = node.walk(path, end + 1, values, rest, pick) {
                return Some(number);
            }
        }
        if let Some(node) = self.one.as_ref().filter(|_| end > at) {
            values.push(at..end);
            if let Some(number) = node.walk(path, end + 1, values, rest, pick) {
                return Some(number);
            }
            values.pop();
        }
        let number = pick(&self.rest)?;
        *rest = Some(at);
        Some(number)
    }
}

impl Routes {
    /// A pattern of just this method, of GET for HEAD, or of any.
    fn pick(&self, method: &Method) -> Option<usize> {
        let of = |wanted: Option<&Method>| {
            self.0.iter().find(|(method, _)| method.as_ref() == wanted).map(|(_, number)| *number)
        };
        let get = || if *method == Method::HEAD { of(Some(&Method::GET)) } else { None };
        of(Some(method)).or_else(get).or_else(|| of(None))
    }
}
