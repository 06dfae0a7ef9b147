//! Rows as a box or as Markdown.

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};
use comfy_table::modifiers::UTF8_ROUND_CORNERS;
use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use super::client::Rows;

/// Characters of a cell; a log line must not push its neighbours off the screen.
const CELL_CHARS_MAX: usize = 300;

/// The table, and for people the number of rows below it.
pub(super) fn render(rows: &Rows, markdown: bool, terminal: bool) -> Result<String, ArrowError> {
    let mut table = Table::new();
    if markdown {
        table.load_preset(ASCII_MARKDOWN);
    } else {
        table.load_preset(UTF8_FULL_CONDENSED).apply_modifier(UTF8_ROUND_CORNERS);
        // A file has no width to fit into.
        let fit = if terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
        table.set_content_arrangement(fit);
    }
    let fields = rows.schema.fields();
    table.set_header(fields.iter().map(|field| clean(field.name(), markdown)));
    for (at, field) in fields.iter().enumerate() {
        if let Some(column) = table.column_mut(at).filter(|_| is_number(field.data_type())) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for batch in &rows.batches {
        add_rows(&mut table, batch, markdown)?;
    }
    let count: usize = rows.batches.iter().map(RecordBatch::num_rows).sum();
    let footer = match (markdown, count) {
        (true, _) => String::new(),
        (false, 1) => "1 row\n".to_owned(),
        (false, count) => format!("{count} rows\n"),
    };
    Ok(format!("{table}\n{footer}"))
}

fn add_rows(table: &mut Table, batch: &RecordBatch, markdown: bool) -> Result<(), ArrowError> {
    let options = FormatOptions::default().with_display_error(true).with_null("NULL");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        table
            .add_row(columns.iter().map(|column| Cell::new(clean(&column.value(row).to_string(), markdown))));
    }
    Ok(())
}

/// Cuts long text, and takes out what would break the table or the terminal.
fn clean(text: &str, markdown: bool) -> String {
    let mut cell = String::with_capacity(text.len().min(CELL_CHARS_MAX));
    for (at, c) in text.chars().enumerate() {
        if at == CELL_CHARS_MAX {
            cell.push('…');
            break;
        }
        match c {
            '|' if markdown => cell.push_str("\\|"),
            '\n' if !markdown => cell.push('\n'),
            c if c.is_control() => cell.push(' '),
            c => cell.push(c),
        }
    }
    cell
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn rows() -> Rows {
        let columns: [(&str, ArrayRef); 2] = [
            ("service", Arc::new(StringArray::from(vec![Some("a|b\u{1b}[31m"), None]))),
            ("n", Arc::new(Int64Array::from(vec![7, 1_000]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        Rows { schema: batch.schema(), batches: vec![batch], more: false }
    }

    #[test]
    fn boxes() {
        let want = "\
╭──────────┬──────╮
│ service  ┆    n │
╞══════════╪══════╡
│ a|b [31m ┆    7 │
│ NULL     ┆ 1000 │
╰──────────┴──────╯
2 rows
";
        assert_eq!(render(&rows(), false, false).unwrap(), want);
    }

    #[test]
    fn markdown() {
        let want = "\
| service   |    n |
|-----------|------|
| a\\|b [31m |    7 |
| NULL      | 1000 |
";
        assert_eq!(render(&rows(), true, false).unwrap(), want);
    }

    #[test]
    fn long_cells_are_cut() {
        let cut = clean(&"é".repeat(CELL_CHARS_MAX + 5), false);
        assert_eq!(cut.chars().count(), CELL_CHARS_MAX + 1);
        assert!(cut.ends_with('…'));
    }
}
