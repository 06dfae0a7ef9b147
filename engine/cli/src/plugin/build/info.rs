//! What `plugin.toml` and `config.schema.json` say, as source of the other languages.

use anyhow::Context as _;

use crate::plugin::manifest::Project;

/// What a plugin tells about itself.
pub(super) struct Info {
    name: String,
    version: String,
    schema: String,
}

impl Info {
    pub(super) fn of(project: &Project) -> anyhow::Result<Self> {
        let path = project.folder.join("config.schema.json");
        let schema =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let schema: serde_json::Value =
            serde_json::from_str(&schema).with_context(|| format!("{} is not JSON", path.display()))?;
        let (name, version) = (project.manifest.name.clone(), project.manifest.version.clone());
        Ok(Self { name, version, schema: schema.to_string() })
    }

    /// A header for C.
    pub(super) fn header(&self) -> String {
        self.written("#pragma once\n", |name, value| format!("#define PLUGIN_{name} {value}\n"))
    }

    /// A module for JavaScript.
    pub(super) fn module(&self) -> String {
        self.written("", |name, value| format!("export const {name} = {value};\n"))
    }

    /// A module for Python.
    pub(super) fn python(&self) -> String {
        self.written("", |name, value| format!("{name} = {value}\n"))
    }

    fn written(&self, head: &str, line: impl Fn(&str, &str) -> String) -> String {
        let all = [("NAME", &self.name), ("VERSION", &self.version), ("CONFIG_SCHEMA", &self.schema)];
        let lines = all.map(|(name, value)| line(name, &quoted(value)));
        head.to_owned() + &lines.concat()
    }
}

/// Text as all three languages write it. Anything but printable ASCII they write in ways of their
/// own, so it is written as JSON has it: only the schema, which is JSON, holds any.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        _ => {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().map(|unit| format!("\\\\u{unit:04x}")).collect()
        }
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_for_three_languages_at_once() {
        let info = Info { name: "a-b".into(), version: "0.1.0".into(), schema: r#"{"é":"\\"}"#.into() };
        let schema = r#""{\"\\u00e9\":\"\\\\\"}""#;
        assert_eq!(
            info.module(),
            format!(
                "export const NAME = \"a-b\";\nexport const VERSION = \"0.1.0\";\nexport const CONFIG_SCHEMA = {schema};\n"
            )
        );
        assert!(info.header().ends_with(&format!("#define PLUGIN_CONFIG_SCHEMA {schema}\n")));
        assert!(info.python().starts_with("NAME = \"a-b\"\n"));
    }
}
