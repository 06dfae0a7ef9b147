//! Policies: buckets of a tenant, of each service or of each stream, beside the rates.

use isinglass_plugin::{
    Batch, Bucket, Config, Dictionary, Encoding, Integers, Lengths, Plan, Request, Shape, Signal, View as _,
};

use crate::rates::{Rate, bytes, items};

/// Policies of one configuration.
const POLICIES_MAX: usize = 32;
/// Buckets of one plan that the host takes.
const BUCKETS_MAX: usize = 900;
/// Bytes of a service or stream in the key of its bucket.
const VALUE_BYTES_MAX: usize = 120;

const SERVICE: u16 = 1_024;
const STREAM: u16 = 1_025;
const BODY: u16 = 1_026;
const SIZE: u16 = 1_027;

/// What has a bucket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Per {
    Tenant,
    Service,
    Stream,
}

/// A limit beside all others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    per: Per,
    signals: Vec<Signal>,
    /// Rows of these services only; empty = all.
    services: Vec<String>,
    items: Option<Bucket>,
    bytes: Option<Bucket>,
}

/// What the rows of a group come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Cost {
    items: f64,
    bytes: f64,
}

/// Reads `policies`. All rates are divided by `share`.
pub(crate) fn read(config: &mut Config, share: f64) -> Result<Vec<Policy>, String> {
    let objects = config.objects("policies")?;
    if objects.len() > POLICIES_MAX {
        return Err(config.fault_of("policies", "has more than 32 entries"));
    }
    let mut names: Vec<String> = Vec::new();
    let mut policies = Vec::new();
    for object in objects {
        let (name, policy) = Policy::read(object, share)?;
        if names.contains(&name) {
            return Err(format!("two policies are named {name:?}"));
        }
        names.push(name);
        policies.push(policy);
    }
    Ok(policies)
}

impl Policy {
    fn read(mut config: Config, share: f64) -> Result<(String, Self), String> {
        let name = config.text("name")?.filter(|name| !name.is_empty() && name.len() <= 64);
        let name = name.ok_or_else(|| config.fault_of("name", "is not 1 to 64 bytes"))?;
        let per = match config.text("per")?.as_deref() {
            None | Some("tenant") => Per::Tenant,
            Some("service") => Per::Service,
            Some("stream") => Per::Stream,
            Some(_) => return Err(config.fault_of("per", "is none of tenant, service, stream")),
        };
        let services = config.texts("services")?;
        let given = config.texts("signals")?;
        // The host names refusals by such a bucket after it.
        let prefix = if per == Per::Stream { format!("per_stream:{name}.") } else { format!("{name}.") };
        let policy = Self {
            per,
            items: limited(items(&mut config, &prefix, share)?),
            bytes: limited(bytes(&mut config, &prefix, share)?),
            services,
            signals: Vec::new(),
        };
        let signals = policy.signals(&given).map_err(|what| config.fault_of("signals", &what))?;
        config.finish()?;
        Ok((name, Self { signals, ..policy }))
    }

    /// What it is for; by default all that has the columns.
    fn signals(&self, given: &[String]) -> Result<Vec<Signal>, String> {
        let possible: &[(&str, Signal)] = match self.per {
            Per::Stream => &[("logs", Signal::Logs)],
            // Label sets are shown once, so that samples have no service; nor have they a size.
            _ if self.per == Per::Service || !self.services.is_empty() || self.bytes.is_some() => {
                &[("logs", Signal::Logs), ("traces", Signal::Traces)]
            }
            _ => &[("metrics", Signal::Metrics), ("logs", Signal::Logs), ("traces", Signal::Traces)],
        };
        if given.is_empty() {
            return Ok(possible.iter().map(|(_, signal)| *signal).collect());
        }
        let find = |name: &String| {
            let known = possible.iter().find(|(known, _)| known == name).map(|(_, signal)| *signal);
            known.ok_or_else(|| format!("has {name:?}, which a policy of this kind is not for"))
        };
        given.iter().map(find).collect()
    }

    /// The columns that it needs.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut ask = |shape, slot, name: &'static str, encoding| {
            requests.push(Request { shape, slot, name: name.into(), encoding, optional: true });
        };
        for (signal, shape) in [(Signal::Logs, Shape::Logs), (Signal::Traces, Shape::Spans)] {
            if !self.signals.contains(&signal) {
                continue;
            }
            if self.per == Per::Service || !self.services.is_empty() {
                ask(shape, SERVICE, "service", Encoding::Dictionary);
            }
            if self.per == Per::Stream {
                ask(shape, STREAM, "stream", Encoding::Dictionary);
            }
            match shape {
                Shape::Logs if self.bytes.is_some() => ask(shape, BODY, "body", Encoding::Lengths),
                Shape::Spans if self.bytes.is_some() => ask(shape, SIZE, "size_bytes", Encoding::Values),
                _ => {}
            }
        }
        requests
    }

    /// Whether each service or stream has buckets.
    fn is_divided(&self) -> bool {
        self.per != Per::Tenant
    }

    /// Adds what the rows of a batch take. At most `groups_max` services or streams have
    /// buckets of their own; the others share one.
    pub(crate) fn take(&self, signal: Signal, batch: &Batch, groups_max: usize, plan: Plan) -> Plan {
        if !self.signals.contains(&signal) {
            return plan;
        }
        let groups = match self.per {
            Per::Tenant => None,
            Per::Service => Dictionary::read(batch, SERVICE),
            Per::Stream => Dictionary::read(batch, STREAM),
        };
        let costs = self.costs(batch, groups);
        let Some(groups) = groups else { return self.add(plan, None, costs[0]) };
        let mut others = Cost::default();
        let mut plan = plan;
        let used = groups.distinct().iter().zip(costs).filter(|(_, cost)| cost.items > 0.0);
        for (at, (value, cost)) in used.enumerate() {
            if at < groups_max {
                plan = self.add(plan, Some(value), cost);
            } else {
                others = Cost { items: others.items + cost.items, bytes: others.bytes + cost.bytes };
            }
        }
        if others == Cost::default() { plan } else { self.add(plan, Some("…"), others) }
    }

    /// Per value of `groups` what its rows come to; one cost without groups.
    fn costs(&self, batch: &Batch, groups: Option<Dictionary<'_>>) -> Vec<Cost> {
        let mut costs = vec![Cost::default(); groups.map_or(1, |groups| groups.distinct().len().max(1))];
        let keys = groups.map(Dictionary::keys);
        let services = Dictionary::read(batch, SERVICE).filter(|_| !self.services.is_empty());
        let wanted = services.map(|column| {
            let flags = column.per_distinct(|name| self.services.iter().any(|wanted| wanted == name));
            (column.keys(), flags)
        });
        let (lines, sizes) = (Lengths::read(batch, BODY), Integers::read(batch, SIZE));
        for row in 0..batch.rows {
            if let Some((keys, flags)) = &wanted
                && !flags[keys[row] as usize]
            {
                continue;
            }
            let cost = &mut costs[keys.map_or(0, |keys| keys[row] as usize)];
            cost.items += 1.0;
            let line = lines.map(|lines| f64::from(lines.values()[row]));
            cost.bytes += line.or(sizes.map(|sizes| sizes.values()[row] as f64)).unwrap_or(0.0);
        }
        costs
    }

    fn add(&self, plan: Plan, value: Option<&str>, cost: Cost) -> Plan {
        let plan = match &self.items {
            Some(bucket) => plan.take(of_value(bucket, value), cost.items),
            None => plan,
        };
        match &self.bytes {
            Some(bucket) => plan.take(of_value(bucket, value), cost.bytes),
            None => plan,
        }
    }
}

/// How many services or streams have buckets of their own in one plan of these policies.
pub(crate) fn groups_max(policies: &[Policy]) -> usize {
    let divided = policies.iter().filter(|policy| policy.is_divided());
    let takes: usize =
        divided.map(|policy| [&policy.items, &policy.bytes].into_iter().flatten().count()).sum();
    BUCKETS_MAX / takes.max(1)
}

fn limited(rate: Option<Rate>) -> Option<Bucket> {
    match rate {
        Some(Rate::Limited(bucket)) => Some(bucket),
        Some(Rate::Unlimited) | None => None,
    }
}

/// The bucket of one service or stream. A long name is cut; what tells it from others is a
/// hash of all of it.
fn of_value(bucket: &Bucket, value: Option<&str>) -> Bucket {
    let Some(value) = value else { return bucket.clone() };
    let cut =
        (0..=VALUE_BYTES_MAX.min(value.len())).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    let key = match cut < value.len() {
        true => format!("{} {}… {:016x}", bucket.key, &value[..cut], hash(value)),
        false => format!("{} {value}", bucket.key),
    };
    Bucket { key, ..bucket.clone() }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
