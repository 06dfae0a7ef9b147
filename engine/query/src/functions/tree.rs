//! The tree of a trace: which span lies under which, in the order to print them.

use hashbrown::HashMap;

/// What the tree needs to know of a span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) span_id: String,
    pub(super) parent: Option<String>,
    pub(super) start_nanos: i64,
    pub(super) duration_nanos: i64,
}

impl Node {
    fn end_nanos(&self) -> i64 {
        self.start_nanos.saturating_add(self.duration_nanos.max(0))
    }
}

/// A span in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number in the input.
    pub(super) span: usize,
    /// 0 = root.
    pub(super) depth: usize,
    /// Nanoseconds in which no child of it ran.
    pub(super) self_nanos: i64,
}

/// Orders spans depth first, children by start time. Each span comes exactly
/// once: one whose parent is missing is a root, and of a cycle the earliest span
/// is taken as one.
pub(super) fn order(spans: &[Node]) -> Vec<Place> {
    let children = children_of(spans);
    let mut by_start: Vec<usize> = (0..spans.len()).collect();
    by_start.sort_by_key(|at| (spans[*at].start_nanos, *at));
    let (roots, rest): (Vec<usize>, Vec<usize>) =
        by_start.into_iter().partition(|at| children.parent[*at].is_none());
    let mut places = Vec::with_capacity(spans.len());
    let mut seen = vec![false; spans.len()];
    // What no root reaches lies on a cycle or below one.
    for root in roots.into_iter().chain(rest) {
        walk(root, spans, &children.of, &mut seen, &mut places);
    }
    places
}

struct Children {
    /// Children of each span, by start time.
    of: Vec<Vec<usize>>,
    /// The parent of each span, if it is there and not the span itself.
    parent: Vec<Option<usize>>,
}

fn children_of(spans: &[Node]) -> Children {
    let mut by_id = HashMap::<&str, usize, ahash::RandomState>::default();
    for (at, span) in spans.iter().enumerate() {
        // A span that was sent twice: children go to the first.
        by_id.entry(span.span_id.as_str()).or_insert(at);
    }
    let mut of = vec![Vec::new(); spans.len()];
    let mut parent = vec![None; spans.len()];
    for (at, span) in spans.iter().enumerate() {
        let found = span.parent.as_deref().and_then(|id| by_id.get(id)).copied();
        if let Some(found) = found.filter(|found| *found != at) {
            of[found].push(at);
            parent[at] = Some(found);
        }
    }
    for list in &mut of {
        list.sort_by_key(|at| (spans[*at].start_nanos, *at));
    }
    Children { of, parent }
}

fn walk(root: usize, spans: &[Node], children: &[Vec<usize>], seen: &mut [bool], places: &mut Vec<Place>) {
    let mut stack = vec![(root, 0)];
    while let Some((span, depth)) = stack.pop() {
        if std::mem::replace(&mut seen[span], true) {
            continue;
        }
        let self_nanos = self_nanos(&spans[span], children[span].iter().map(|at| &spans[*at]));
        places.push(Place { span, depth, self_nanos });
        stack.extend(children[span].iter().rev().map(|child| (*child, depth + 1)));
    }
}

/// Time of a span that no child covers; children come by start time and may
/// overlap or outlive their parent.
fn self_nanos<'a>(span: &Node, children: impl Iterator<Item = &'a Node>) -> i64 {
    let (mut covered, mut until) = (0_i64, span.start_nanos);
    for child in children {
        let start = child.start_nanos.max(until);
        let end = child.end_nanos().min(span.end_nanos());
        if end > start {
            covered = covered.saturating_add(end - start);
            until = end;
        }
    }
    (span.end_nanos() - span.start_nanos).saturating_sub(covered)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `id<parent@start+duration`, one span a word.
    fn spans(text: &str) -> Vec<Node> {
        let parse = |word: &str| {
            let (ids, times) = word.split_once('@').unwrap();
            let (id, parent) =
                ids.split_once('<').map_or((ids, None), |(id, parent)| (id, Some(parent.to_owned())));
            let (start, duration) = times.split_once('+').unwrap();
            Node {
                span_id: id.to_owned(),
                parent,
                start_nanos: start.parse().unwrap(),
                duration_nanos: duration.parse().unwrap(),
            }
        };
        text.split_whitespace().map(parse).collect()
    }

    /// Expects `depth:id/self`.
    fn check(text: &str, wanted: &str) {
        let spans = spans(text);
        let got: Vec<String> = order(&spans)
            .iter()
            .map(|place| format!("{}:{}/{}", place.depth, spans[place.span].span_id, place.self_nanos))
            .collect();
        assert_eq!(got.join(" "), wanted, "{text}");
    }

    #[test]
    fn trees() {
        check("", "");
        check("a@0+10 c<b@3+2 b<a@1+5", "0:a/5 1:b/3 2:c/2");
        // overlapping children are counted once, what outlives the parent is cut
        check("a@0+10 b<a@1+4 c<a@3+9", "0:a/1 1:b/4 1:c/9");
        // the parent is missing
        check("b<gone@5+1 a@0+1", "0:a/1 0:b/1");
        // cycles, of which one has a tail
        check("a<b@0+1 b<a@1+1 c<b@2+1", "0:a/1 1:b/1 2:c/1");
        check("a<a@0+1", "0:a/1");
        // a span that was sent twice
        check("a@0+9 a@0+9 b<a@1+1", "0:a/8 1:b/1 0:a/9");
    }

    proptest! {
        #[test]
        fn every_span_comes_once(links in proptest::collection::vec((0_u8..12, 0_u8..12, -5_i64..50, -5_i64..20), 0..40)) {
            let spans: Vec<Node> = links
                .into_iter()
                .map(|(id, parent, start_nanos, duration_nanos)| Node {
                    span_id: id.to_string(),
                    parent: (parent > 0).then(|| parent.to_string()),
                    start_nanos,
                    duration_nanos,
                })
                .collect();
            let places = order(&spans);
            let mut seen: Vec<usize> = places.iter().map(|place| place.span).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..spans.len()).collect::<Vec<_>>());
            for place in places {
                prop_assert!(place.self_nanos >= 0 && place.self_nanos <= spans[place.span].duration_nanos.max(0));
            }
        }
    }
}
