//! Conditions of a binding as options, and as one line.

use anyhow::bail;
use serde_json::{Map, Value, json};

/// Of `service=pay-*`, `resource.k8s.namespace.name!=test`, ... the table `when` of a binding.
/// What patterns may be is checked by the server.
pub(super) fn read(conditions: &[String]) -> anyhow::Result<Value> {
    let mut when = json!({});
    for condition in conditions {
        let Some((field, pattern)) = condition.split_once('=') else {
            bail!("--when {condition} has no =; write FIELD=PATTERN or FIELD!=PATTERN");
        };
        let (part, field) = match field.strip_suffix('!') {
            Some(field) => (&mut when["not"], field),
            None => (&mut when, field),
        };
        let patterns = match field.split_once('.') {
            Some(("resource", key)) if !key.is_empty() => &mut part["resource"][key],
            _ if ["service", "scope", "metric"].contains(&field) => &mut part[field],
            _ => bail!("--when {condition}: {field} is not service, scope, metric or resource.KEY"),
        };
        match patterns.as_array_mut() {
            Some(known) => known.push(json!(pattern)),
            None => *patterns = json!([pattern]),
        }
    }
    Ok(when)
}

/// `service=pay-*|shop, service!=pay-test`; empty = all is shown.
pub(super) fn shown(when: &Value) -> String {
    let must = clauses(when, "=").into_iter();
    must.chain(clauses(&when["not"], "!=")).collect::<Vec<_>>().join(", ")
}

fn clauses(part: &Value, sign: &str) -> Vec<String> {
    let empty = Map::new();
    let resource = part["resource"].as_object().unwrap_or(&empty);
    let resource = resource.iter().map(|(key, patterns)| (format!("resource.{key}"), patterns));
    let own = ["service", "scope", "metric"].map(|field| (field.to_owned(), &part[field]));
    let given = own.into_iter().chain(resource).filter_map(|(field, patterns)| {
        let texts = patterns.as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>();
        Some(format!("{field}{sign}{}", texts.join("|")))
    });
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_and_shown() {
        let check = |conditions: &[&str], wanted: Value, text: &str| {
            let conditions: Vec<String> = conditions.iter().map(|text| (*text).to_owned()).collect();
            let when = read(&conditions).unwrap();
            assert_eq!(when, wanted);
            assert_eq!(shown(&when), text);
        };
        check(&[], json!({}), "");
        check(
            &["service=pay-*", "service=shop"],
            json!({ "service": ["pay-*", "shop"] }),
            "service=pay-*|shop",
        );
        check(
            &["resource.a.b=x=y", "metric!=up", "service!="],
            json!({ "resource": { "a.b": ["x=y"] }, "not": { "metric": ["up"], "service": [""] } }),
            "resource.a.b=x=y, service!=, metric!=up",
        );
        let fault = |condition: &str| read(&[condition.to_owned()]).unwrap_err().to_string();
        assert!(fault("service").contains("has no =; write FIELD=PATTERN"));
        assert!(fault("services=a").contains("services is not service, scope, metric or resource.KEY"));
        assert!(fault("resource.=a").contains("is not service"));
    }
}
