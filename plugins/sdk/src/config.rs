//! Reading a configuration: every key is asked for, what nobody asked for is
//! an error.

use crate::json::{self, Json};

/// An object of the configuration.
#[derive(Debug, Clone)]
pub struct Config {
    path: String,
    members: Vec<(String, Json)>,
    known: Vec<&'static str>,
}

impl Config {
    /// Reads JSON text. Empty text and `null` are an empty configuration.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Self::new(String::new(), Json::Null);
        }
        let value =
            json::parse(text).map_err(|fault| ["the configuration is not JSON: ", &fault].concat())?;
        Self::new(String::new(), value)
    }

    fn new(path: String, value: Json) -> Result<Self, String> {
        match value {
            Json::Null => Ok(Self { path, members: Vec::new(), known: Vec::new() }),
            Json::Object(members) => Ok(Self { path, members, known: Vec::new() }),
            _ if path.is_empty() => Err("the configuration is not an object".to_owned()),
            _ => Err(path + " is not an object"),
        }
    }

    /// An integer from 0 to 2^32 - 1.
    pub fn u32(&mut self, key: &'static str, default: u32) -> Result<u32, String> {
        let value = self.i64(key, default.into())?;
        u32::try_from(value).map_err(|_| self.fault(key, "is not between 0 and 4294967295"))
    }

    /// An integer.
    pub fn i64(&mut self, key: &'static str, default: i64) -> Result<i64, String> {
        match self.take(key) {
            None => Ok(default),
            Some(Json::Number(number)) => number.as_i64().ok_or_else(|| self.fault(key, "is not an integer")),
            Some(_) => Err(self.fault(key, "is not an integer")),
        }
    }

    /// A finite number.
    pub fn f64(&mut self, key: &'static str) -> Result<Option<f64>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => self.finite(key, &value).map(Some),
        }
    }

    /// A boolean.
    pub fn boolean(&mut self, key: &'static str, default: bool) -> Result<bool, String> {
        match self.take(key) {
            None => Ok(default),
            Some(Json::Boolean(value)) => Ok(value),
            Some(_) => Err(self.fault(key, "is neither true nor false")),
        }
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Text(value)) => Ok(Some(value)),
            Some(_) => Err(self.fault(key, "is not a text")),
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Result<Vec<String>, String> {
        let texts = self.list(key)?.into_iter().map(|value| match value {
            Json::Text(text) => Ok(text),
            _ => Err(self.fault(key, "is not a list of texts")),
        });
        texts.collect()
    }

    /// A list of finite numbers.
    pub fn numbers(&mut self, key: &'static str) -> Result<Vec<f64>, String> {
        let values = self.list(key)?;
        values.iter().map(|value| self.finite(key, value)).collect()
    }

    /// An object within this one.
    pub fn object(&mut self, key: &'static str) -> Result<Option<Self>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => Self::new(self.name(key), value).map(Some),
        }
    }

    /// A list of objects within this one.
    pub fn objects(&mut self, key: &'static str) -> Result<Vec<Self>, String> {
        let name = self.name(key);
        let objects = self.list(key)?.into_iter().enumerate();
        objects.map(|(at, value)| Self::new([&name, "[", &at.to_string(), "]"].concat(), value)).collect()
    }

    /// A text, an integer or a boolean, as text.
    pub fn plain(&mut self, key: &'static str) -> Result<Option<String>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Text(value)) => Ok(Some(value)),
            Some(Json::Boolean(value)) => Ok(Some(value.to_string())),
            Some(Json::Number(number)) => {
                let value = number.as_i64().ok_or_else(|| self.fault(key, "is not an integer"))?;
                Ok(Some(value.to_string()))
            }
            Some(_) => Err(self.fault(key, "is neither a text nor an integer")),
        }
    }

    /// A fault of a key of this object, with its full name.
    #[cold]
    pub fn fault_of(&self, key: &str, what: &str) -> String {
        self.fault(key, what)
    }

    /// Ends reading: a key that nobody asked for is an error.
    pub fn finish(self) -> Result<(), String> {
        match self.members.first() {
            None => Ok(()),
            Some((key, _)) => {
                Err(["unknown key \"", &self.name(key), "\"; known are ", &self.known.join(", ")].concat())
            }
        }
    }

    fn list(&mut self, key: &'static str) -> Result<Vec<Json>, String> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Json::Array(values)) => Ok(values),
            Some(_) => Err(self.fault(key, "is not a list")),
        }
    }

    #[inline(never)]
    fn finite(&self, key: &str, value: &Json) -> Result<f64, String> {
        match value {
            Json::Number(number) if number.as_f64().is_finite() => Ok(number.as_f64()),
            _ => Err(self.fault(key, "is not a number")),
        }
    }

    /// Takes a member out; `null` is the same as absent.
    #[inline(never)]
    fn take(&mut self, key: &'static str) -> Option<Json> {
        self.known.push(key);
        let at = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(at).1).filter(|value| *value != Json::Null)
    }

    #[cold]
    fn fault(&self, key: &str, what: &str) -> String {
        [&self.name(key), " ", what].concat()
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { [&self.path, ".", key].concat() }
    }
}

/// The members of a JSON object that are texts; of anything else none. What the column `resource:*`
/// holds.
pub fn text_members(object: &str) -> Vec<(String, String)> {
    let Ok(Json::Object(members)) = json::parse(object) else { return Vec::new() };
    let text = |(name, value)| match value {
        Json::Text(text) => Some((name, text)),
        _ => None,
    };
    members.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_asked_for() {
        let mut config =
            Config::parse(r#"{"a": 1, "b": {"c": 0.5}, "d": ["x"], "e": null, "f": [0.1, 2]}"#).unwrap();
        assert_eq!(config.u32("a", 9), Ok(1));
        assert_eq!(config.u32("e", 9), Ok(9));
        assert_eq!(config.texts("d"), Ok(vec!["x".to_owned()]));
        assert_eq!(config.numbers("f"), Ok(vec![0.1, 2.0]));
        let mut inner = config.object("b").unwrap().unwrap();
        assert_eq!(inner.f64("c"), Ok(Some(0.5)));
        inner.finish().unwrap();
        config.finish().unwrap();
    }

    #[test]
    fn objects_of_a_list_have_their_places_as_names() {
        let mut config = Config::parse(r#"{"of": [{"a": 1}, {"a": "x"}], "no": [1]}"#).unwrap();
        let mut objects = config.objects("of").unwrap();
        assert_eq!(objects[0].u32("a", 0), Ok(1));
        assert_eq!(objects[1].u32("a", 0), Err("of[1].a is not an integer".into()));
        assert_eq!(config.objects("no").unwrap_err(), "no[0] is not an object");
    }

    #[test]
    fn faults_name_the_key() {
        let mut config = Config::parse(r#"{"a": -1, "b": {"c": "x"}, "typo": 1}"#).unwrap();
        assert_eq!(config.u32("a", 0), Err("a is not between 0 and 4294967295".into()));
        let mut inner = config.object("b").unwrap().unwrap();
        assert_eq!(inner.f64("c"), Err("b.c is not a number".into()));
        assert_eq!(config.finish(), Err("unknown key \"typo\"; known are a, b".into()));
        assert_eq!(Config::parse("[1]").unwrap_err(), "the configuration is not an object");
        assert!(Config::parse("").unwrap().finish().is_ok());
    }
}
