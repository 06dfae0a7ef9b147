//! What sends spans: `traces_target_info` and `traces_host_info`, and the labels `job` and
//! `instance` that lead to it.

use isinglass_plugin::{Batch, Deltas, Groups, Keys, LabelValues, Request, Table, TextData, text_members};

use crate::attributes::{Values, label_name, request};
use crate::settings::Settings;

const SLOT: u16 = 256;
const NAMESPACE: u16 = SLOT;
const INSTANCE: u16 = SLOT + 1;
const RESOURCE: u16 = SLOT + 2;
const HOSTS: u16 = SLOT + 16;

/// Resource attributes that `job` and `instance` are made of.
const OWN: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];
/// Labels of a series; others of the resource are left out.
const LABELS_MAX: usize = 60;

/// What to ask for.
pub(crate) fn requests(settings: &Settings) -> Vec<Request> {
    let mut requests = Vec::new();
    if settings.target_info {
        requests.push(request(NAMESPACE, "service_namespace".to_owned()));
        requests.push(request(INSTANCE, "service_instance_id".to_owned()));
        requests.push(request(RESOURCE, "resource:*".to_owned()));
    }
    let hosts = (HOSTS..).zip(&settings.host_identifiers);
    requests.extend(hosts.map(|(slot, name)| request(slot, format!("resource:{name}"))));
    requests
}

/// The columns that `job` and `instance` are made of.
#[derive(Debug)]
pub(crate) struct Targets<'a> {
    namespace: Option<Values<'a>>,
    instance: Option<Values<'a>>,
}

impl<'a> Targets<'a> {
    /// Those of a batch, if target info is on.
    pub(crate) fn read(settings: &Settings, batch: &'a Batch) -> Option<Self> {
        let read = |slot| Values::read(batch, slot);
        settings.target_info.then(|| Self { namespace: read(NAMESPACE), instance: read(INSTANCE) })
    }

    /// To group by, besides the service.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Keys<'_>> {
        self.namespace.iter().chain(&self.instance).map(Values::keys)
    }

    /// Adds `job` and `instance`.
    pub(crate) fn label(&self, deltas: &mut Deltas, groups: &Groups, service: impl Fn(usize) -> &'a str) {
        let rows = || groups.first_rows().iter().map(|row| *row as usize);
        let text = |values: &Option<Values<'a>>, row| {
            values.as_ref().map(|values| values.text(row).into_owned()).unwrap_or_default()
        };
        let mut jobs = TextData::default();
        rows().for_each(|row| jobs.push(&job(&text(&self.namespace, row), service(row))));
        let mut instances = TextData::default();
        rows().for_each(|row| instances.push(&text(&self.instance, row)));
        let keys: Vec<u32> = (0..groups.len() as u32).collect();
        deltas.push_label("job", keys.clone(), LabelValues::Own(jobs));
        deltas.push_label("instance", keys, LabelValues::Own(instances));
    }
}

fn job(namespace: &str, service: &str) -> String {
    if namespace.is_empty() { service.to_owned() } else { [namespace, "/", service].concat() }
}

/// A table per resource: each has labels of its own.
pub(crate) fn targets(settings: &Settings, batch: &Batch, metric: u16, tables: &mut Vec<Table>) {
    let Some(Values::Text(resources)) = Values::read(batch, RESOURCE) else { return };
    let mut seen = vec![false; resources.distinct().len()];
    for (row, key) in resources.keys().iter().enumerate() {
        if !resources.validity().is_valid(row) || std::mem::replace(&mut seen[*key as usize], true) {
            continue;
        }
        let attributes = text_members(resources.distinct().get(*key as usize));
        if let Some(table) = target(settings, &attributes, metric) {
            tables.push(table);
        }
    }
}

fn target(settings: &Settings, attributes: &[(String, String)], metric: u16) -> Option<Table> {
    let of =
        |key: &str| attributes.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value.as_str());
    let mut table = Table::of(1);
    let mut names = vec!["job".to_owned(), "instance".to_owned()];
    for (key, value) in attributes {
        let name = label_name(key);
        let excluded = OWN.contains(&key.as_str()) || settings.target_info_excluded.contains(key);
        if excluded || value.is_empty() || name.starts_with("__") || name == "le" || names.contains(&name) {
            continue;
        }
        if names.len() < LABELS_MAX {
            table.constant_label(&name, cut(value));
            names.push(name);
        }
    }
    let job = job(of("service.namespace"), of("service.name"));
    // Nothing more is known of it than its name.
    if names.len() == 2 || job.is_empty() {
        return None;
    }
    table.constant_label("job", cut(&job));
    table.constant_label("instance", cut(of("service.instance.id")));
    table.gauge(metric, vec![1.0]);
    Some(table)
}

/// The host takes values of up to 1 KiB.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(1_024)]
}

/// A table of the hosts that spans come from.
pub(crate) fn hosts(settings: &Settings, batch: &Batch, metric: u16) -> Option<Table> {
    let columns: Vec<(&String, Values<'_>)> = (HOSTS..)
        .zip(&settings.host_identifiers)
        .filter_map(|(slot, name)| Some((name, Values::read(batch, slot)?)))
        .collect();
    let keys: Vec<Keys<'_>> = columns.iter().map(|(_, values)| values.keys()).collect();
    let mut known: Vec<(String, &str)> = Vec::new();
    for row in Groups::by(batch.rows, &keys).first_rows() {
        let texts =
            columns.iter().map(|(name, values)| (values.text(*row as usize).into_owned(), name.as_str()));
        let first = texts.into_iter().find(|(text, _)| !text.is_empty());
        known.extend(first.filter(|first| !known.contains(first)));
    }
    if known.is_empty() {
        return None;
    }
    let mut table = Table::of(known.len());
    let keys: Vec<u32> = (0..known.len() as u32).collect();
    let ids: TextData = known.iter().map(|(id, _)| cut(id)).collect();
    let sources: TextData = known.iter().map(|(_, source)| *source).collect();
    table.deltas.push_label("grafana_host_id", keys.clone(), LabelValues::Own(ids));
    table.deltas.push_label("host_source", keys, LabelValues::Own(sources));
    table.gauge(metric, vec![1.0; known.len()]);
    Some(table)
}
