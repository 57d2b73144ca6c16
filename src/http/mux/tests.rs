//! The mux against a plain model of it: every pattern asked by itself.

use super::pattern::{Pattern, Relation, Segment};
use super::tree::Node;
use http::Method;
use quickcheck::{Arbitrary, Gen, TestResult, quickcheck};
use std::collections::BTreeSet;
use std::sync::LazyLock;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

/// Whether a pattern matches, by the words of its documentation.
fn matches(pattern: &Pattern, method: &Method, path: &str) -> bool {
    let by_method = match &pattern.method {
        None => true,
        Some(own) => own == method || (*own == Method::GET && *method == Method::HEAD),
    };
    let mut parts = path[1..].split('/');
    let mut segments = pattern.segments.iter();
    let by_path = loop {
        match (segments.next(), parts.next()) {
            (None, None) => break true,
            (Some(Segment::Rest), Some(_)) => break true,
            (Some(Segment::Literal(text)), Some(part)) if **text == *part => {}
            (Some(Segment::One), Some(part)) if !part.is_empty() => {}
            _ => break false,
        }
    };
    by_method && by_path
}

/// All requests that the patterns of [`Drawn`] can tell apart.
static REQUESTS: LazyLock<Vec<(Method, String)>> = LazyLock::new(|| {
    let mut paths = vec![String::new()];
    for _ in 0..4 {
        let longer: Vec<_> = paths
            .iter()
            .filter(|path| !path.ends_with('/'))
            .flat_map(|path| ["/a", "/b", "/c", "/"].map(|part| format!("{path}{part}")))
            .collect();
        paths.extend(longer);
    }
    paths.retain(|path| !path.is_empty());
    paths.sort();
    paths.dedup();
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT];
    let all = paths.iter().flat_map(|path| methods.clone().map(|method| (method, path.clone())));
    all.collect()
});

#[derive(Debug, Clone)]
struct Drawn(String);

impl Arbitrary for Drawn {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut text = (*g.choose(&["", "", "GET ", "HEAD ", "POST "]).unwrap()).to_owned();
        let len = usize::arbitrary(g) % 3;
        for n in 0..len {
            match usize::arbitrary(g) % 3 {
                0 => text.push_str("/a"),
                1 => text.push_str("/b"),
                _ => text.push_str(&format!("/{{x{n}}}")),
            }
        }
        let end = *g.choose(&["", "/", "/{$}", "/{rest...}"]).unwrap();
        text.push_str(if len == 0 && end.is_empty() { "/" } else { end });
        Self(text)
    }
}

quickcheck! {
    fn relations_are_those_of_the_requests(a: Drawn, b: Drawn) -> bool {
        let (a, b) = (pattern(&a.0), pattern(&b.0));
        let of = |pattern: &Pattern| -> BTreeSet<_> {
            let all = REQUESTS.iter().enumerate();
            all.filter(|(_, (m, path))| matches(pattern, m, path)).map(|(n, _)| n).collect()
        };
        let (of_a, of_b) = (of(&a), of(&b));
        let wanted = if of_a == of_b {
            Relation::Same
        } else if of_a.is_disjoint(&of_b) {
            Relation::Disjoint
        } else if of_a.is_subset(&of_b) {
            Relation::Narrower
        } else if of_b.is_subset(&of_a) {
            Relation::Wider
        } else {
            Relation::Overlapping
        };
        a.relation(&b) == wanted
    }

    fn the_tree_finds_the_most_specific_pattern(drawn: Vec<Drawn>) -> TestResult {
        let mut tree = Node::default();
        let mut patterns: Vec<Pattern> = Vec::new();
        for Drawn(text) in drawn.iter().take(12) {
            let new = pattern(text);
            let clash = |other: &Pattern| {
                [Relation::Same, Relation::Overlapping].contains(&new.relation(other))
            };
            if !patterns.iter().any(clash) {
                tree.insert(&new, patterns.len());
                patterns.push(new);
            }
        }
        for (method, path) in REQUESTS.iter() {
            let all = || patterns.iter().enumerate().filter(|(_, p)| matches(p, method, path));
            let best = all().find(|(_, p)| all().all(|(_, other)| {
                [Relation::Same, Relation::Narrower].contains(&p.relation(other))
            }));
            let found = tree.find(method, path).map(|found| found.number);
            if found != best.map(|(number, _)| number) {
                return TestResult::error(format!("{method} {path}: {found:?}, not {best:?}"));
            }
            let mut methods = Vec::new();
            tree.methods(path, &mut methods);
            let there = patterns.iter().filter_map(|p| p.method.clone().map(|m| (m, p)));
            let wanted: BTreeSet<_> = there
                .filter(|(m, p)| matches(p, m, path))
                .map(|(m, _)| m.to_string())
                .collect();
            let methods: BTreeSet<_> = methods.iter().map(Method::to_string).collect();
            if methods != wanted {
                return TestResult::error(format!("{path}: {methods:?}, not {wanted:?}"));
            }
        }
        TestResult::passed()
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    for text in [
        "",
        "GET",
        "GET ",
        "a",
        "{x}/",
        "G@T /",
        "GET /a GET /b",
        "/a//b",
        "//",
        "/{x}y",
        "/x{y}",
        "/{",
        "/}",
        "/{}",
        "/{1}",
        "/{a-b}",
        "/{x}/{x}",
        "/{x...}/y",
        "/{...}",
        "/{$}/x",
        "/a?b",
        "/a#b",
        "/./a",
        "/a/..",
        "/%2e%2E",
        "/%ff",
        "host:80/",
        "{host}/",
        "/a b",
    ] {
        assert!(Pattern::parse(text).is_err(), "{text:?}");
    }
    for text in [
        "/",
        "GET /",
        "GET \t/",
        "host/",
        "GET host/a",
        "[::1]/",
        "/{x}",
        "/{_x1}/{$}",
        "/{x...}",
        "/{y}/{x...}",
        "/a%20b",
    ] {
        assert!(Pattern::parse(text).is_ok(), "{text:?}");
    }
}

#[test]
fn hosts_are_apart() {
    let relation = |a: &str, b: &str| pattern(a).relation(&pattern(b));
    assert_eq!(relation("a/x", "b/x"), Relation::Disjoint);
    assert_eq!(relation("a/{x}", "/a"), Relation::Disjoint);
    assert_eq!(relation("A.example/", "a.Example/"), Relation::Same);
}
