//! The variables that say how long a step and the dashboard's time range are.

use super::variables::{Variable, Variables};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

/// The times of a query. Grafana takes the step from the range and the width of the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Distance of two points in milliseconds.
    pub step_ms: u64,
    /// How often series get samples, `timeInterval` of the data source, in milliseconds.
    pub scrape_ms: u64,
    /// The dashboard's range in milliseconds.
    pub range_ms: u64,
}

impl Times {
    /// What a rate has to look back: at least four samples, and no sample between two windows.
    pub fn rate_interval_ms(self) -> u64 {
        self.step_ms.saturating_add(self.scrape_ms).max(self.scrape_ms.saturating_mul(4))
    }

    /// `$__interval`, `$__rate_interval`, `$__range` and those of them that are numbers.
    pub fn variables(self) -> Variables {
        let rate_ms = self.rate_interval_ms();
        let range_seconds = self.range_ms.saturating_add(SECOND_MS / 2) / SECOND_MS;
        let all = [
            ("__interval", one_unit(self.step_ms)),
            ("__interval_ms", self.step_ms.to_string()),
            ("__rate_interval", all_units(rate_ms)),
            ("__rate_interval_ms", rate_ms.to_string()),
            ("__range", format!("{range_seconds}s")),
            ("__range_s", range_seconds.to_string()),
            ("__range_ms", self.range_ms.to_string()),
        ];
        let with = |variables: Variables, (name, value)| variables.with(name, Variable::text(value));
        all.into_iter().fold(Variables::default(), with)
    }
}

/// `90 s` is `1m`: the largest unit alone, what is left is dropped.
fn one_unit(ms: u64) -> String {
    let units = [(YEAR_MS, "y"), (DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s")];
    match units.into_iter().find(|(unit, _)| ms >= *unit) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{}ms", ms.max(1)),
    }
}

/// `90 s` is `1m30s`, `60 s` is `1m0s`: Go's `time.Duration.String`.
fn all_units(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < SECOND_MS {
        return format!("{ms}ms");
    }
    let (hours, minutes) = (ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS);
    let (seconds, rest) = (ms % MINUTE_MS / SECOND_MS, ms % SECOND_MS);
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:03}") };
    let seconds = format!("{seconds}{}s", fraction.trim_end_matches('0'));
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_as_grafana_writes_them() {
        let table = [
            (0, "1ms", "0s"),
            (100, "100ms", "100ms"),
            (1_500, "1s", "1.5s"),
            (15_000, "15s", "15s"),
            (60_000, "1m", "1m0s"),
            (90_000, "1m", "1m30s"),
            (3_600_000, "1h", "1h0m0s"),
            (5_400_500, "1h", "1h30m0.5s"),
            (172_800_000, "2d", "48h0m0s"),
            (31_536_000_000, "1y", "8760h0m0s"),
        ];
        for (ms, one, all) in table {
            assert_eq!((one_unit(ms).as_str(), all_units(ms).as_str()), (one, all), "{ms} ms");
        }
    }

    #[test]
    fn a_rate_looks_back_four_samples_or_a_step_and_a_sample() {
        let of = |step_ms, scrape_ms| Times { step_ms, scrape_ms, range_ms: 0 }.rate_interval_ms();
        assert_eq!(of(15_000, 15_000), 60_000);
        assert_eq!(of(60_000, 15_000), 75_000);
        assert_eq!(of(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn numbers_are_rounded() {
        let variables = Times { step_ms: 30_000, scrape_ms: 15_000, range_ms: 3_600_500 }.variables();
        let text =
            "$__interval $__interval_ms $__rate_interval $__rate_interval_ms $__range $__range_s $__range_ms";
        assert_eq!(variables.expand(text), "30s 30000 1m0s 60000 3601s 3601 3600500");
    }
}
