//! Rule files, in the part of YAML in which ours is written; promtool reads all of it.

use std::collections::BTreeSet;

/// Each rule's name and expression.
pub(crate) fn expressions(yaml: &str) -> Vec<(String, String)> {
    let mut rules = Vec::new();
    let mut name = String::new();
    let mut lines = yaml.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(named) = rule_name(line) {
            name = named.to_owned();
        }
        let Some(written) = line.trim_start().strip_prefix("expr: ") else { continue };
        let mut expr = written.to_owned();
        if written == "|" {
            let indent = indent(line);
            let mut block = Vec::new();
            while let Some(inside) = lines.next_if(|inside| self::indent(inside) > indent) {
                block.push(inside.trim());
            }
            expr = block.join(" ");
        }
        rules.push((name.clone(), expr));
    }
    rules
}

/// The names of recorded series.
pub(crate) fn recorded(yaml: &str) -> BTreeSet<String> {
    let names = yaml.lines().filter_map(|line| line.trim_start().strip_prefix("- record: "));
    names.map(str::to_owned).collect()
}

fn rule_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("- record: ").or_else(|| line.strip_prefix("- alert: "))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
