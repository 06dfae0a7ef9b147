use std::collections::BTreeMap;

use isinglass_plugin::State as _;
use proptest::prelude::*;

use super::*;

const LINES: &str = include_str!("../data/lines.log");

fn masked() -> Vec<String> {
    let patterns = Patterns::default();
    let masked = LINES.lines().map(|line| {
        let mut pattern = String::new();
        patterns.of(line, &mut pattern);
        pattern
    });
    masked.collect()
}

/// `data/masked.txt`: what each line becomes by itself.
#[test]
fn lines_by_themselves() {
    let expected: Vec<&str> = include_str!("../data/masked.txt").lines().collect();
    assert_eq!(masked(), expected);
}

/// `data/mined.txt`: number of lines and pattern, of all of them together.
#[test]
fn lines_together() {
    let mut sketch = Sketch::default();
    masked().iter().for_each(|line| sketch.add(line));
    let mined: Vec<String> =
        sketch.mine().iter().map(|pattern| format!("{} {}", pattern.lines, pattern.text)).collect();
    assert_eq!(mined, include_str!("../data/mined.txt").lines().collect::<Vec<_>>());
}

/// What was mined of history is what lines have when it is the configuration.
#[test]
fn mined_patterns_are_a_configuration() {
    let mut sketch = Sketch::default();
    masked().iter().for_each(|line| sketch.add(line));
    let texts: Vec<String> =
        sketch.mine().iter().map(|pattern| isinglass_plugin::json_text(&pattern.text)).collect();
    let config = format!(r#"{{"patterns": [{}], "only_known": true}}"#, texts.join(","));
    let patterns = Patterns::read(Config::parse(&config).unwrap()).unwrap();
    let mut counted = BTreeMap::<String, u64>::new();
    for line in LINES.lines() {
        let mut pattern = String::new();
        patterns.of(line, &mut pattern);
        *counted.entry(pattern).or_default() += 1;
    }
    let mined = sketch.mine().into_iter().map(|pattern| (pattern.text, pattern.lines)).collect();
    assert_eq!(counted, mined);
}

#[test]
fn configurations_are_checked() {
    let read = |text: &str| Patterns::read(Config::parse(text).unwrap()).unwrap_err();
    assert_eq!(read(r#"{"patterns": ["<_>"]}"#), "patterns has \"<_>\", which would fit everything");
    assert_eq!(read(r#"{"pattern": []}"#), "unknown key \"pattern\"; known are patterns, only_known");
    let many = vec!["\"a\""; 201].join(",");
    assert_eq!(read(&format!("{{\"patterns\": [{many}]}}")), "patterns has more than 200 entries");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A label may not be masked twice in two ways, and no line is too odd.
    #[test]
    fn masking_is_stable(line in "\\PC{0,80}") {
        let mut once = String::new();
        mask(&line, &mut once);
        prop_assert!(once.len() <= 400);
    }

    /// Order and parts do not matter, also where there are more lines than are kept.
    #[test]
    fn sketches_are_sets(lines in proptest::collection::vec(0_u32..6_000, 0..300), cut in 0_usize..300, wide in any::<bool>()) {
        let all: Vec<String> = match wide {
            true => (0..5_000).chain(lines).map(|line| format!("line {line}x")).collect(),
            false => lines.iter().map(|line| format!("line {line}x")).collect(),
        };
        let of = |lines: &[String]| {
            let mut sketch = Sketch::default();
            lines.iter().for_each(|line| sketch.add(line));
            sketch
        };
        let cut = cut.min(all.len());
        let mut parts = of(&all[cut..]);
        let mut bytes = Vec::new();
        of(&all[..cut]).write(&mut bytes);
        parts.merge(if bytes.is_empty() { Sketch::default() } else { Sketch::read(&bytes).unwrap() });
        let mut backwards = all.clone();
        backwards.reverse();
        prop_assert_eq!(&parts, &of(&all));
        prop_assert_eq!(parts, of(&backwards));
    }
}
