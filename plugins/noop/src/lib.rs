//! Asks for columns and keeps every row without looking at one: `isinglass plugin
//! bench` measures by it what it costs to show a batch at all.
//!
//! ```json
//! { "columns": ["spans service dictionary", "logs severity dictionary optional"] }
//! ```

use isinglass_plugin::{
    Batch, Config, Encoding, Plugin, Request, Shape, Validator, Verdicts, export_validator,
};

/// The plugin.
#[derive(Debug)]
pub struct Noop {
    requests: Vec<Request>,
}

impl Plugin for Noop {
    const NAME: &'static str = "noop";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str =
        r#"{"type": "object", "properties": {"columns": {"type": "array", "items": {"type": "string"}}}}"#;
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(mut config: Config) -> Result<Self, String> {
        let columns = config.texts("columns")?;
        config.finish()?;
        let requests = (0..).zip(&columns).map(|(slot, column)| request(slot, column));
        Ok(Self { requests: requests.collect::<Result<_, _>>()? })
    }

    fn further_requests(&self) -> Vec<Request> {
        self.requests.clone()
    }
}

impl Validator for Noop {
    fn validate(&self, _: &Batch, _: &mut Verdicts) {}
}

fn request(slot: u16, column: &str) -> Result<Request, String> {
    let unknown = || format!("{column:?} is no column");
    let words: Vec<&str> = column.split(' ').collect();
    let (shape, name, encoding, optional) = match words[..] {
        [shape, name, encoding] => (shape, name, encoding, false),
        [shape, name, encoding, "optional"] => (shape, name, encoding, true),
        _ => return Err(unknown()),
    };
    Ok(Request {
        shape: match shape {
            "samples" => Shape::Samples,
            "series" => Shape::Series,
            "logs" => Shape::Logs,
            "spans" => Shape::Spans,
            _ => return Err(unknown()),
        },
        slot,
        name: name.to_owned().into(),
        encoding: match encoding {
            "values" => Encoding::Values,
            "dictionary" => Encoding::Dictionary,
            "lengths" => Encoding::Lengths,
            _ => return Err(unknown()),
        },
        optional,
    })
}

export_validator!(Noop);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_from_the_configuration() {
        let configured = |text: &str| Noop::configure(Config::parse(text).unwrap());
        let noop = configured(r#"{"columns": ["spans service dictionary", "logs body lengths optional"]}"#);
        let requests = noop.unwrap().further_requests();
        assert_eq!((requests[0].slot, requests[1].slot), (0, 1));
        assert!(requests[1].optional && requests[1].encoding == Encoding::Lengths);
        assert!(configured(r#"{"columns": ["spans service"]}"#).is_err());
    }
}
