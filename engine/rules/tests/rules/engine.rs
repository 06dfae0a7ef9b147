//! The real engine over series in memory, which rules write into.

use std::sync::Mutex;

use async_trait::async_trait;
use isinglass_model::tenant::Tenant;
use isinglass_promql::{Labels, MemorySource, Options, Sample, Series, Value};
use isinglass_rules::ports::newest_samples;
use isinglass_rules::{Evaluate, Evaluated, ForState, Notification, Notify, RuleError, RuleSample, Write};

/// An engine, its series, and what it was told.
#[derive(Default)]
pub(crate) struct Engine {
    series: Mutex<MemorySource>,
    /// Every write, in order.
    pub(crate) writes: Mutex<Vec<RuleSample>>,
    /// Every message, in order.
    pub(crate) told: Mutex<Vec<Vec<Notification>>>,
    /// Why writes fail, where they do.
    pub(crate) broken: Mutex<Option<String>>,
}

impl Engine {
    pub(crate) fn float(&self, metric: &str, time_ms: i64, value: f64) {
        self.series.lock().unwrap().add_float(&labels(metric), time_ms, 0, value);
    }

    pub(crate) fn add(&self, labels: &Labels, time_ms: i64, sample: &Sample) {
        let mut series = self.series.lock().unwrap();
        match sample {
            Sample::Float(value) => series.add_float(labels, time_ms, 0, *value),
            Sample::Histogram(histogram) => series.add_histogram(labels, time_ms, 0, histogram.clone()),
        }
    }

    pub(crate) fn vector(&self, expr: &str, time_ms: i64) -> Result<Vec<Series>, String> {
        let series = self.series.lock().unwrap();
        let answer = isinglass_promql::instant(expr, time_ms, &*series, &Options::default(), &|| None);
        match answer.map_err(|error| error.to_string())?.value {
            Value::Vector(all) => Ok(all),
            Value::Scalar(time_ms, value) => {
                let point = isinglass_promql::Point { time_ms, sample: Sample::Float(value) };
                Ok(vec![Series { labels: Labels::empty(), points: vec![point] }])
            }
            other => Err(format!("neither vector nor scalar: {other:?}")),
        }
    }

    /// A vector as text, `{…} value`, one a line.
    pub(crate) fn written(&self, expr: &str, time_ms: i64) -> Vec<String> {
        let line = |series: Series| match &series.points[0].sample {
            Sample::Float(value) => format!("{} {value}", series.labels),
            Sample::Histogram(histogram) => format!("{} {histogram}", series.labels),
        };
        self.vector(expr, time_ms).unwrap().into_iter().map(line).collect()
    }
}

pub(crate) fn labels(metric: &str) -> Labels {
    Labels::new(isinglass_lang::promql::parse_metric(metric).unwrap())
}

#[async_trait]
impl Evaluate for Engine {
    async fn instant(&self, _: &Tenant, expr: &str, time_ms: i64) -> Result<Evaluated, RuleError> {
        let series = self.series.lock().unwrap();
        let answer = isinglass_promql::instant(expr, time_ms, &*series, &Options::default(), &|| None);
        let answer = answer.map_err(|error| RuleError::Evaluation(error.to_string()))?;
        Ok(Evaluated { value: answer.value, warnings: answer.warnings })
    }

    async fn newest(
        &self,
        _: &Tenant,
        selector: &str,
        after_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<ForState>, RuleError> {
        newest_samples(&*self.series.lock().unwrap(), selector, after_ms, until_ms)
    }
}

#[async_trait]
impl Write for Engine {
    async fn samples(&self, _: &Tenant, samples: Vec<RuleSample>) -> Result<(), RuleError> {
        if let Some(message) = &*self.broken.lock().unwrap() {
            return Err(RuleError::Write(message.clone()));
        }
        for sample in samples {
            self.add(&sample.labels, sample.time_ms, &sample.sample);
            self.writes.lock().unwrap().push(sample);
        }
        Ok(())
    }
}

impl Notify for Engine {
    fn notify(&self, _: &Tenant, alerts: Vec<Notification>) {
        self.told.lock().unwrap().push(alerts);
    }
}
