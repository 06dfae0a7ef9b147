//! A validator that misbehaves on demand; what it can do stands in `../README.md`.

use hostile_common::Orders;
use isinglass_plugin::{
    Batch, Config, Integers, Plugin, Reason, Request, Shape, Validator, Verdicts, columns, export_validator,
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
    /// Samples are shown to it.
    struct Samples<'a> of Shape::Samples {
        time: Integers<'a> = "time",
    }
}

/// The plugin.
#[derive(Debug)]
pub struct HostileValidator(Orders);

impl Plugin for HostileValidator {
    const NAME: &'static str = "hostile-validator";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object"}"#;
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS, Logs::REQUESTS, Samples::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        Orders::read(config).map(Self)
    }
}

impl Validator for HostileValidator {
    fn validate(&self, batch: &Batch, verdicts: &mut Verdicts) {
        let rows = batch.rows;
        let answer = |rows, reasons| Verdicts::from_parts(rows, reasons);
        *verdicts = match self.0.with(rows) {
            "refuse_all" => answer(vec![1; rows], vec![reason("hostile", "told to")]),
            "bad_index" => answer(vec![7; rows], vec![reason("hostile", "told to")]),
            "too_few_rows" => answer(vec![0; rows.saturating_sub(1)], Vec::new()),
            "too_many_rows" => answer(vec![0; rows + 1], Vec::new()),
            "huge_output" => answer(vec![0; 32 << 20], Vec::new()),
            "many_reasons" => answer(vec![1; rows], vec![reason("hostile", "told to"); 100_000]),
            "long_message" => answer(vec![1; rows], vec![reason("hostile", &"x".repeat(8 << 20))]),
            "odd_code" => answer(vec![1; rows], vec![reason("Not a code\n\"}", "told to")]),
            "bad_utf8" => answer(vec![1; rows], vec![Reason { code: "hostile", message: not_utf8() }]),
            _ => return,
        };
    }
}

fn reason(code: &'static str, message: &str) -> Reason {
    Reason { code, message: message.to_owned() }
}

#[expect(unsafe_code, reason = "that is the point")]
fn not_utf8() -> String {
    // SAFETY: none; the host must find it.
    unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe]) }
}

export_validator!(HostileValidator);
