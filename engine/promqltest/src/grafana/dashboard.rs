//! A dashboard as it stands in its file, as far as queries and layout go.

use serde_json::Value as Json;

use super::lookup::Lookup;
use super::variables::{Value, Variable};

/// What stands for all options in a file.
const ALL: &str = "$__all";

/// Why a file is no dashboard.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// It is not JSON.
    #[error("cannot read the dashboard: {0}")]
    Json(#[from] serde_json::Error),
    /// Something that every dashboard has is missing, or is of another type.
    #[error("{place} has no {field}")]
    Missing {
        /// Where.
        place: String,
        /// What.
        field: &'static str,
    },
}

/// A dashboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// What links name it by.
    pub uid: String,
    /// Its name.
    pub title: String,
    /// Version of the format.
    pub schema_version: u64,
    /// Its variables, in the order in which one may name another.
    pub variables: Vec<VariableModel>,
    /// Its panels, those of folded rows included.
    pub panels: Vec<Panel>,
    /// All that it asks.
    pub queries: Vec<Query>,
    /// The data source of each panel, query, variable and annotation that names one, and where.
    pub data_sources: Vec<(String, String)>,
}

/// A panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// Its number in the dashboard.
    pub id: u64,
    /// `timeseries`, `table`, `row`…
    pub kind: String,
    /// Its heading.
    pub title: String,
    /// What it shows, in words.
    pub description: String,
    /// Where it stands in the grid of 24 columns.
    pub place: Place,
}

/// A rectangle of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Columns to the left of it.
    pub x: u64,
    /// Rows above it.
    pub y: u64,
    /// Its width.
    pub w: u64,
    /// Its height.
    pub h: u64,
}

impl Place {
    /// Whether two rectangles have a cell in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let apart = |from: u64, length: u64, other: u64| from.saturating_add(length) <= other;
        let beside = apart(self.x, self.w, other.x) || apart(other.x, other.w, self.x);
        let above = apart(self.y, self.h, other.y) || apart(other.y, other.h, self.y);
        !beside && !above
    }
}

/// Something that a dashboard asks, with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which panel, annotation or variable asks it.
    pub place: String,
    /// What.
    pub asked: Asked,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// An expression at each step of the range.
    Range(String),
    /// An expression at the end of the range.
    Instant(String),
    /// The options of a variable.
    Options(Lookup),
}

/// A variable as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableModel {
    /// Its name.
    pub name: String,
    /// `query`, `custom`, `datasource`, `textbox`…
    pub kind: String,
    /// What it asks, or lists.
    pub query: String,
    /// Takes a part of each option, as a regular expression between slashes; empty = all of it.
    pub regex: String,
    /// Several can be chosen.
    pub multi: bool,
    /// All can be chosen.
    pub include_all: bool,
    /// What stands for all, instead of a list of all options.
    pub all_value: Option<String>,
    /// What is chosen when the dashboard is opened; may be empty.
    pub current: Vec<String>,
}

impl VariableModel {
    /// The variable as it is when the dashboard is opened and these are its options.
    pub fn opened(&self, options: &[String]) -> Variable {
        let value = match self.current.as_slice() {
            [all] if all == ALL => self.all(options),
            [] => self.chosen(options.first().cloned().into_iter().collect()),
            current => self.chosen(current.to_vec()),
        };
        self.with(value)
    }

    /// The variable with all of these options chosen, or the only one that can be.
    pub fn all_of(&self, options: &[String]) -> Variable {
        let value = match (self.include_all, self.multi) {
            (true, _) => self.all(options),
            (false, true) => self.chosen(options.to_vec()),
            (false, false) => self.chosen(options.first().cloned().into_iter().collect()),
        };
        self.with(value)
    }

    fn all(&self, options: &[String]) -> Value {
        self.all_value.clone().map_or_else(|| Value::Many(options.to_vec()), Value::All)
    }

    fn chosen(&self, mut values: Vec<String>) -> Value {
        if self.multi { Value::Many(values) } else { Value::One(values.pop().unwrap_or_default()) }
    }

    fn with(&self, value: Value) -> Variable {
        Variable { value, multi: self.multi, include_all: self.include_all }
    }
}

impl Dashboard {
    /// Reads a dashboard.
    ///
    /// # Errors
    /// [`DashboardError`].
    pub fn parse(json: &str) -> Result<Self, DashboardError> {
        let root: Json = serde_json::from_str(json)?;
        let mut dashboard = Self {
            uid: text(&root, "dashboard", "uid")?,
            title: text(&root, "dashboard", "title")?,
            schema_version: number(&root, "dashboard", "schemaVersion")?,
            variables: Vec::new(),
            panels: Vec::new(),
            queries: Vec::new(),
            data_sources: Vec::new(),
        };
        list(&root["templating"]["list"]).try_for_each(|variable| dashboard.add_variable(variable))?;
        list(&root["annotations"]["list"]).for_each(|annotation| dashboard.add_annotation(annotation));
        list(&root["panels"]).try_for_each(|panel| dashboard.add_panel(panel))?;
        Ok(dashboard)
    }

    fn add_variable(&mut self, json: &Json) -> Result<(), DashboardError> {
        let variable = variable(json)?;
        let place = format!("variable {}", variable.name);
        self.add_data_source(&place, json);
        if variable.kind == "query" {
            let asked = Asked::Options(Lookup::of(&variable.query));
            self.queries.push(Query { place, asked });
        }
        self.variables.push(variable);
        Ok(())
    }

    fn add_annotation(&mut self, json: &Json) {
        let place = format!("annotation {}", optional(json, "name"));
        self.add_data_source(&place, json);
        if let Some(expr) = json["expr"].as_str() {
            self.queries.push(Query { place, asked: Asked::Range(expr.to_owned()) });
        }
    }

    fn add_panel(&mut self, json: &Json) -> Result<(), DashboardError> {
        let panel = panel(json)?;
        let place = format!("panel {} {:?}", panel.id, panel.title);
        self.add_data_source(&place, json);
        self.panels.push(panel);
        list(&json["targets"]).try_for_each(|target| self.add_target(&place, target))?;
        list(&json["panels"]).try_for_each(|inner| self.add_panel(inner))
    }

    /// A target may ask both at once.
    fn add_target(&mut self, place: &str, json: &Json) -> Result<(), DashboardError> {
        let place = format!("{place} {}", optional(json, "refId"));
        self.add_data_source(&place, json);
        let expr = text(json, &place, "expr")?;
        let instant = json["instant"].as_bool().unwrap_or(false);
        if instant {
            self.queries.push(Query { place: place.clone(), asked: Asked::Instant(expr.clone()) });
        }
        if json["range"].as_bool().unwrap_or(!instant) {
            self.queries.push(Query { place, asked: Asked::Range(expr) });
        }
        Ok(())
    }

    fn add_data_source(&mut self, place: &str, json: &Json) {
        if let Some(uid) = json["datasource"]["uid"].as_str() {
            self.data_sources.push((place.to_owned(), uid.to_owned()));
        }
    }
}

fn variable(json: &Json) -> Result<VariableModel, DashboardError> {
    let name = text(json, "a variable", "name")?;
    let place = format!("variable {name}");
    let query = json["query"]["query"].as_str().map(str::to_owned);
    let current = &json["current"]["value"];
    let current = current.as_str().map_or_else(
        || list(current).filter_map(Json::as_str).map(str::to_owned).collect(),
        |one| vec![one.to_owned()],
    );
    Ok(VariableModel {
        kind: text(json, &place, "type")?,
        query: query.map_or_else(|| text(json, &place, "query"), Ok)?,
        regex: optional(json, "regex"),
        multi: json["multi"].as_bool().unwrap_or(false),
        include_all: json["includeAll"].as_bool().unwrap_or(false),
        all_value: json["allValue"].as_str().filter(|value| !value.is_empty()).map(str::to_owned),
        current,
        name,
    })
}

fn panel(json: &Json) -> Result<Panel, DashboardError> {
    let id = number(json, "a panel", "id")?;
    let place = format!("panel {id}");
    let grid = &json["gridPos"];
    let side = |field| number(grid, &place, field);
    Ok(Panel {
        id,
        kind: text(json, &place, "type")?,
        title: optional(json, "title"),
        description: optional(json, "description"),
        place: Place { x: side("x")?, y: side("y")?, w: side("w")?, h: side("h")? },
    })
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

fn optional(json: &Json, field: &str) -> String {
    json[field].as_str().unwrap_or_default().to_owned()
}

fn text(json: &Json, place: &str, field: &'static str) -> Result<String, DashboardError> {
    let text = json[field].as_str().map(str::to_owned);
    text.ok_or_else(|| DashboardError::Missing { place: place.to_owned(), field })
}

fn number(json: &Json, place: &str, field: &'static str) -> Result<u64, DashboardError> {
    json[field].as_u64().ok_or_else(|| DashboardError::Missing { place: place.to_owned(), field })
}

#[cfg(test)]
mod tests;
