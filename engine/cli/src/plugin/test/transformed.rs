//! What transformers leave of rows: what a case says of it, and what became of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use isinglass_model::columns::{ColumnData, Columns, Encoding, Shape};
use isinglass_model::reason::DROPPED;
use isinglass_model::tables::Type;
use isinglass_model::tables::promoted::{LOG, RESOURCE, SPAN};

use super::cells;
use super::rows::{Layout, table_of};

/// What is left of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Left {
    /// Its columns, attributes and labels.
    Row(BTreeMap<String, String>),
    /// It goes no further.
    Gone { reason: String, message: Option<String> },
}

/// What a case says of a row.
enum Fate {
    Same,
    Becomes(toml::Table),
    Gone { reason: String, message: Option<String> },
}

/// Takes what becomes of rows out of them.
pub(super) fn wanted(
    shape: Shape,
    rows: &mut [toml::Table],
    now_unix_nanos: i64,
) -> anyhow::Result<Vec<Left>> {
    ensure!(shape != Shape::Samples, "a transformer is not shown samples");
    let fate = |(at, row): (usize, &mut toml::Table)| fate(row).with_context(|| format!("row {}", at + 1));
    let fates = rows.iter_mut().enumerate().map(fate).collect::<anyhow::Result<Vec<_>>>()?;
    let before = Layout::of(shape, rows, now_unix_nanos)?;
    let after = rows.iter().zip(&fates).enumerate().map(|(at, (row, fate))| match fate {
        Fate::Becomes(after) => before.completed(at, row, after.clone()),
        Fate::Same | Fate::Gone { .. } => row.clone(),
    });
    let after: Vec<toml::Table> = after.collect();
    let layout = Layout::of(shape, &after, now_unix_nanos).context("what rows become")?;
    let batch = layout.editable(&after.iter().enumerate().collect::<Vec<_>>()).context("what rows become")?;
    let left = |(fate, row)| match fate {
        Fate::Same | Fate::Becomes(_) => Left::Row(row),
        Fate::Gone { reason, message } => Left::Gone { reason, message },
    };
    Ok(fates.into_iter().zip(seen(&*batch)?).map(left).collect())
}

fn fate(row: &mut toml::Table) -> anyhow::Result<Fate> {
    let said = ["becomes", "drop", "refused"].into_iter().filter_map(|key| Some((key, row.remove(key)?)));
    let said: Vec<_> = said.collect();
    let [(key, value)] =
        <[_; 1]>::try_from(said).map_err(|_| anyhow::anyhow!("a row has one of: becomes, drop, refused"))?;
    Ok(match (key, value) {
        ("becomes", toml::Value::Table(after)) => Fate::Becomes(after),
        ("becomes", toml::Value::String(word)) if word == "same" => Fate::Same,
        ("becomes", other) => bail!("becomes is a row or \"same\", not {other}"),
        (key, value) => {
            let (code, message) = super::case::reason(key, value)?;
            let reason = if key == "drop" { format!("{DROPPED}{code}") } else { code };
            Fate::Gone { reason, message }
        }
    })
}

/// The rows of a batch: columns by name, and what `attributes`, `resource`, `scope` and `labels` hold.
pub(super) fn seen(batch: &dyn Columns) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
    let mut rows = vec![BTreeMap::new(); batch.rows()];
    for name in plain_columns(batch.shape()) {
        let Some(column) = batch.column(name, Encoding::Values) else { continue };
        for (row, cell) in rows.iter_mut().zip(cells::read(&column)?) {
            row.extend(cell.map(|cell| (name.to_owned(), cell.to_string())));
        }
    }
    for (what, prefix, key) in [
        ("attribute", "attr", "key"),
        ("attribute of the resource", "resource", "key"),
        ("attribute of the scope", "scope", "key"),
        ("attribute of an event", "event", "key"),
        ("attribute of a link", "link", "key"),
        ("label", "label", "name"),
    ] {
        let column = |name: &str| batch.column(&format!("{prefix}.{name}"), Encoding::Values);
        let (Some(offsets), Some(keys), Some(values)) = (column("offsets"), column(key), column("value"))
        else {
            continue;
        };
        let ColumnData::Offsets(offsets) = offsets.data else { bail!("{prefix}.offsets are none") };
        let (keys, values) = (cells::read(&keys)?, cells::read(&values)?);
        for (row, ends) in rows.iter_mut().zip(offsets.windows(2)) {
            for entry in ends[0] as usize..ends[1] as usize {
                let text = |cells: &[cells::Cell]| {
                    cells[entry].as_ref().and_then(|cell| cell.as_str().map(str::to_owned))
                };
                let (key, value) = (text(&keys).unwrap_or_default(), text(&values).unwrap_or_default());
                let twice = row.entry(format!("{what} {key:?}")).or_default();
                *twice = if twice.is_empty() { value } else { format!("{twice} and {value}") };
            }
        }
    }
    Ok(rows)
}

/// Columns that are not shown as attributes.
fn plain_columns(shape: Shape) -> impl Iterator<Item = &'static str> {
    let promoted =
        |name: &str| LOG.iter().chain(SPAN).chain(RESOURCE).any(|promoted| promoted.column == name);
    let columns = table_of(shape).into_iter().flat_map(|table| &table.columns);
    let nested = |ty: &Type| matches!(ty, Type::TextMap | Type::List(_) | Type::Struct(_));
    columns.filter(move |column| !nested(&column.ty) && !promoted(column.name)).map(|column| column.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(shape: Shape, text: &str) -> anyhow::Result<Vec<Left>> {
        let file: toml::Table = toml::from_str(text)?;
        let rows = file["rows"].as_array().unwrap().iter();
        let mut rows: Vec<_> = rows.map(|row| row.as_table().unwrap().clone()).collect();
        wanted(shape, &mut rows, 1)
    }

    #[test]
    fn what_a_row_becomes_is_the_whole_row() {
        let text = "[[rows]]\nbody = \"a\"\nseverity = \"info\"\nattributes = { \"user.id\" = \"ann\", n = 1 }\n\
                    becomes = { body = \"b\", attributes = { n = \"x\" } }\n\
                    [[rows]]\nbody = \"a\"\nresource = { \"host.name\" = \"h\" }\nscope = { v = true }\nbecomes = \"same\"\n\
                    [[rows]]\ndrop = \"debug\"\n[[rows]]\nrefused = { code = \"x\", message = \"y\" }\n";
        let left = left(Shape::Logs, text).unwrap();
        let Left::Row(row) = &left[0] else { panic!("it stays") };
        let of = |name: &str| row.get(name).map(String::as_str);
        assert_eq!((of("body"), of("severity"), of("time")), (Some("\"b\""), None, Some("1")));
        assert_eq!((of("attribute \"n\""), of("attribute \"user.id\"")), (Some("\"x\""), None));
        let Left::Row(row) = &left[1] else { panic!("it stays") };
        assert_eq!(row["attribute of the resource \"host.name\""], "\"h\"");
        assert_eq!(row["attribute of the scope \"v\""], "true");
        assert_eq!(left[2], Left::Gone { reason: "dropped:debug".into(), message: None });
        assert_eq!(left[3], Left::Gone { reason: "x".into(), message: Some("y".into()) });
    }

    #[test]
    fn events_and_links_are_compared_by_their_attributes() {
        let text = "[[rows]]\nevents = [{ name = \"a\", attributes = { k = 1 } }, { attributes = { k = \"x\" } }]\n\
                    links = [{ attributes = { l = true } }]\nbecomes = \"same\"\n[[rows]]\nbecomes = \"same\"\n";
        let left = left(Shape::Spans, text).unwrap();
        let Left::Row(row) = &left[0] else { panic!("it stays") };
        assert_eq!(row["attribute of an event \"k\""], "1 and \"x\"");
        assert_eq!(row["attribute of a link \"l\""], "true");
        let Left::Row(row) = &left[1] else { panic!("it stays") };
        assert!(row.keys().all(|key| !key.contains("event") && !key.contains("link")), "{row:?}");
    }

    #[test]
    fn labels_are_compared_too() {
        let text = "[[rows]]\nlabels = { __name__ = \"up\", pod = \"a\" }\nbecomes = { labels = { __name__ = \"up\" } }\n";
        let Left::Row(row) = &left(Shape::Series, text).unwrap()[0] else { panic!("it stays") };
        assert_eq!(row.iter().collect::<Vec<_>>(), [(&"label \"__name__\"".to_owned(), &"up".to_owned())]);
    }

    #[test]
    fn faults_are_named() {
        let check = |shape: Shape, text: &str, fault: &str| {
            let error = format!("{:#}", left(shape, text).unwrap_err());
            assert!(error.contains(fault), "{error}");
        };
        check(Shape::Logs, "[[rows]]\nbody = \"a\"", "row 1: a row has one of: becomes, drop, refused");
        check(Shape::Logs, "[[rows]]\nbecomes = \"same\"\ndrop = \"x\"", "has one of");
        check(Shape::Logs, "[[rows]]\nbecomes = 1", "becomes is a row or \"same\", not 1");
        check(
            Shape::Logs,
            "[[rows]]\nbecomes = { bodi = \"x\" }",
            "what rows become: row 1: there is no column",
        );
        check(Shape::Logs, "[[rows]]\ndrop = 1", "drop is a code or a table");
        check(Shape::Samples, "[[rows]]\nbecomes = \"same\"", "is not shown samples");
    }
}
