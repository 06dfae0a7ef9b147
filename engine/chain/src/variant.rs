//! A configuration of a binding, tried out on an instance when the chain loads.

use std::sync::Arc;

use isinglass_model::Clock;
use isinglass_model::columns::Shape;
use isinglass_model::deltas::{DerivedMetric, Pairing};
use isinglass_model::functions::FunctionSignature;

use crate::abi::PluginInfoOut;
use crate::columns::Request;
use crate::component::Component;
use crate::config::{Binding, OnError, World};
use crate::declaration::{Declaration, check_declaration};
use crate::error::ChainError;
use crate::failure::{Failure, shorten};
use crate::functions::check_signatures;
use crate::instance::{Context, Instance};
use crate::rates::SignalRates;
use crate::schema;
use crate::stats::Meter;
use crate::ticker::Ticker;

/// Columns that a plugin may ask for, all shapes together.
const REQUESTS_MAX: usize = 256;

/// A configuration of a binding, and what the plugin said under it.
pub(crate) struct Variant {
    /// JSON text.
    pub(crate) config: String,
    /// Columns that it wants, by shape.
    pub(crate) requests: [Vec<Request>; 4],
    /// JSON Schema of configurations; empty = the plugin says nothing.
    pub(crate) config_schema: String,
    /// What a deriver writes.
    pub(crate) metrics: Vec<DerivedMetric>,
    /// What becomes of its halves.
    pub(crate) pairing: Option<Arc<Pairing>>,
    /// A label of its exemplars with the trace's id; empty = none.
    pub(crate) exemplar_label: Arc<str>,
    /// What a function plugin brings.
    pub(crate) functions: Vec<Arc<FunctionSignature>>,
    /// Number of this entry among the chain's derivers.
    pub(crate) deriver: u16,
    /// Rates of a limiter whose policy is `native`.
    pub(crate) fallback: Option<SignalRates>,
}

/// What is needed to try a configuration out.
pub(crate) struct Trial<'a> {
    pub(crate) binding: &'a Binding,
    pub(crate) component: &'a Component,
    pub(crate) meter: &'a Arc<Meter>,
    pub(crate) ticker: &'a Ticker,
    pub(crate) clock: &'a Arc<dyn Clock>,
}

fn of_tenant(tenant: Option<&str>) -> String {
    tenant.map_or_else(String::new, |tenant| format!(" of tenant {tenant:?}"))
}

impl Trial<'_> {
    /// `describe`, `configure`, `describe` again: what a plugin asks for may
    /// depend on its configuration.
    pub(crate) fn variant(
        &self,
        config: &serde_json::Value,
        tenant: Option<&str>,
    ) -> Result<(String, Variant, Instance), ChainError> {
        let name = || self.binding.name.clone();
        let failed = |call: &'static str| {
            move |failure: Failure| ChainError::Start { binding: name(), call, fault: failure.to_string() }
        };
        let context = Context {
            budget: &self.binding.budget(),
            ticker: self.ticker,
            tenant: None,
            now_unix_nanos: self.clock.now_unix_nanos(),
            memory: None,
        };
        let text = config.to_string();
        let world = self.binding.world;
        let mut instance =
            Instance::start(self.component, world, self.meter, &context).map_err(failed("instantiate"))?;
        let first = instance.describe(&context, self.component).map_err(failed("describe"))?;
        schema::check(&first.config_schema, config).map_err(|fault| ChainError::Configuration {
            binding: name(),
            for_tenant: of_tenant(tenant),
            fault: shorten(&fault),
        })?;
        let configured = instance.configure(&context, self.component, &text).map_err(failed("configure"))?;
        configured.map_err(|sentence| ChainError::Configuration {
            binding: name(),
            for_tenant: of_tenant(tenant),
            fault: shorten(&sentence),
        })?;
        let info = instance.describe(&context, self.component).map_err(failed("describe"))?;
        let Declaration { metrics, pairing, exemplar_label } = match world {
            World::Deriver => {
                let declaration = instance.declare(&context).map_err(failed("metrics"))?;
                check_declaration(declaration).map_err(failed("metrics"))?
            }
            _ => Declaration::default(),
        };
        let functions = match world {
            World::Function => {
                let functions = instance.functions(&context).map_err(failed("functions"))?;
                check_signatures(functions, &self.binding.prefix).map_err(failed("functions"))?
            }
            _ => Vec::new(),
        };
        let plugin = check_info(&info).map_err(Failure::contract).map_err(failed("describe"))?;
        let config_schema = info.config_schema.trim().to_owned();
        let requests = requests(info).map_err(Failure::contract).map_err(failed("describe"))?;
        if world == World::Transformer && !requests[Shape::Samples as usize].is_empty() {
            let fault = "it asks for columns of samples; a transformer is shown series, logs and spans";
            return Err(failed("describe")(Failure::contract(fault)));
        }
        let fallback = self.fallback(config)?;
        Ok((
            plugin,
            Variant {
                config: text,
                requests,
                config_schema,
                metrics,
                pairing: pairing.map(Arc::new),
                exemplar_label: exemplar_label.into(),
                functions,
                deriver: 0,
                fallback,
            },
            instance,
        ))
    }

    fn fallback(&self, config: &serde_json::Value) -> Result<Option<SignalRates>, ChainError> {
        if self.binding.on_error() != OnError::Native {
            return Ok(None);
        }
        let fault = |fault: String| ChainError::Binding { binding: self.binding.name.clone(), fault };
        let rates = match self.binding.fallback {
            Some(rates) => rates,
            // Policies are the plugin's alone: the host's own limiter knows no services.
            None => serde_json::from_value::<SignalRates>(without(config, "policies")).map_err(|error| {
                fault(format!(
                    "on_error = \"native\" needs rates for the host's own limiter; \
                     give fallback = {{ items_per_second = … }}, or choose pass or reject \
                     (the plugin's configuration has no such rates: {error})"
                ))
            })?,
        };
        match rates.usable() {
            true => Ok(Some(rates)),
            false => Err(fault("rates must be at least 0 and bursts above 0".to_owned())),
        }
    }
}

fn without(config: &serde_json::Value, key: &str) -> serde_json::Value {
    let mut config = config.clone();
    if let Some(members) = config.as_object_mut() {
        members.remove(key);
    }
    config
}

fn check_info(info: &PluginInfoOut) -> Result<String, String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if info.name.is_empty() || info.name.len() > 64 || !info.name.chars().all(word) {
        return Err(format!("the plugin's name {:?} is not 1 to 64 of a-z 0-9 -", shorten(&info.name)));
    }
    let version = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    if info.version.is_empty() || info.version.len() > 64 || !info.version.chars().all(version) {
        return Err(format!("the plugin's version {:?} is no version", shorten(&info.version)));
    }
    let schema = info.config_schema.trim();
    if !schema.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(schema).is_err() {
        return Err("config-schema is not JSON".to_owned());
    }
    Ok(format!("{}@{}", info.name, info.version))
}

fn requests(info: PluginInfoOut) -> Result<[Vec<Request>; 4], String> {
    if info.requests.len() > REQUESTS_MAX {
        return Err(format!("it asks for {} columns, the limit is {REQUESTS_MAX}", info.requests.len()));
    }
    let mut by_shape: [Vec<Request>; 4] = Default::default();
    for request in info.requests {
        if request.name.is_empty() || request.name.len() > 128 {
            return Err(format!("{:?} is no column name", shorten(&request.name)));
        }
        let wanted = &mut by_shape[request.shape as usize];
        if wanted.iter().any(|known| known.slot == request.slot) {
            return Err(format!("slot {} is used twice for one shape", request.slot));
        }
        wanted.push(Request {
            slot: request.slot,
            name: request.name,
            encoding: request.encoding.into(),
            optional: request.optional,
        });
    }
    Ok(by_shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{ColumnRequestOut, EncodingName, ShapeName};

    fn info(name: &str, version: &str, schema: &str, slots: &[u16]) -> PluginInfoOut {
        let request = |slot: &u16| ColumnRequestOut {
            shape: ShapeName::Logs,
            slot: *slot,
            name: "body".to_owned(),
            encoding: EncodingName::Lengths,
            optional: true,
        };
        PluginInfoOut {
            name: name.to_owned(),
            version: version.to_owned(),
            requests: slots.iter().map(request).collect(),
            config_schema: schema.to_owned(),
        }
    }

    #[test]
    fn what_a_plugin_says_of_itself_is_checked() {
        let check = |info: PluginInfoOut| check_info(&info).and_then(|name| requests(info).map(|_| name));
        assert_eq!(check(info("a-b", "1.0.0-rc.1+x", "{}", &[1, 2])).unwrap(), "a-b@1.0.0-rc.1+x");
        for (bad, fault) in [
            (info("A B", "1.0.0", "", &[]), "is not 1 to 64 of"),
            (info("a", "", "", &[]), "is no version"),
            (info("a", "1", "{", &[]), "not JSON"),
            (info("a", "1", "", &[3, 3]), "slot 3 is used twice"),
            (info("a", "1", "", &[0; 300]), "asks for 300 columns"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
    }
}
