//! A transformer that misbehaves on demand; what it can do stands in `../README.md`.

use hostile_common::Orders;
use isinglass_plugin::{
    Batch, Config, Edits, Integers, Offsets, Pairs, Plugin, Request, Shape, Transformer, columns,
    export_transformer,
};

columns! {
    /// Spans are shown to it.
    struct Spans<'a> of Shape::Spans {
        time: Integers<'a> = "time",
    }
}

columns! {
    /// Log records are shown to it.
    struct Logs<'a> of Shape::Logs {
        time: Integers<'a> = "time",
    }
}

columns! {
    /// Label sets are shown to it.
    struct Series<'a> of Shape::Series {
        offsets: Offsets<'a> = "label.offsets",
    }
}

/// The plugin.
#[derive(Debug)]
pub struct HostileTransformer(Orders);

impl Plugin for HostileTransformer {
    const NAME: &'static str = "hostile-transformer";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object"}"#;
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS, Logs::REQUESTS, Series::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        Orders::read(config).map(Self)
    }
}

impl Transformer for HostileTransformer {
    fn transform(&self, batch: &Batch, edits: &mut Edits) {
        let rows = batch.rows;
        let of = if batch.shape as u16 == Shape::Series as u16 { Pairs::Labels } else { Pairs::Attributes };
        let text = if batch.shape as u16 == Shape::Spans as u16 { "name" } else { "body" };
        match self.0.with(rows) {
            "drop_all" => (0..rows).for_each(|row| edits.drop_row(row, "hostile", || "told to".to_owned())),
            "odd_code" => edits.drop_row(0, "Not a code\n\"}", || "told to".to_owned()),
            "bad_row" => edits.text(text).set(rows, "x"),
            "no_column" => edits.text("nope").set(0, "x"),
            "ids" => edits.text("trace_id").set(0, "x"),
            "time" => edits.number("time").set(0, 1),
            "null_required" => edits.text("service").clear(0),
            "bad_entry" => edits.pairs(of).remove(1 << 20),
            "bad_row_added" => edits.pairs(of).add(rows, "k", "1"),
            "empty_key" => edits.pairs(of).add(0, "", "1"),
            "not_json" => edits.pairs(Pairs::Attributes).add(0, "k", "{"),
            "bad_utf8" => edits.text(text).set(0, &not_utf8()),
            "written_out" => {
                let long = "x".repeat(1 << 20);
                (0..rows).for_each(|row| edits.text(text).set(row, &long));
            }
            "huge_output" => edits.text(text).set(0, &"x".repeat(17 << 20)),
            _ => {}
        }
    }
}

#[expect(unsafe_code, reason = "that is the point")]
fn not_utf8() -> String {
    // SAFETY: none; the host must find it.
    unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe]) }
}

export_transformer!(HostileTransformer);
