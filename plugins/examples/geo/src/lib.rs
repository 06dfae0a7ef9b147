//! Functions for queries: distances on the globe, and two aggregates.
//!
//! ```sql
//! SELECT haversine(lat, lon, 52.52, 13.405) AS km FROM places;
//! SELECT service, harmonic_mean(speed), mad(duration) FROM spans GROUP BY service;
//! ```
//!
//! `haversine` in PromQL: `haversine(latitude, 13.4, 52.5, 13.4)`.

mod aggregates;

use isinglass_plugin::{
    Arguments, Config, Fault, Function, FunctionLibrary, Grouping, Plugin, Request, States, ValueType,
    Values, accumulate, export_functions, merge,
};

use aggregates::{Deviation, Harmonic};

const FLOAT: ValueType = ValueType::Float64;
/// Mean radius of the earth.
const RADIUS_KM: f64 = 6_371.008_8;

const FUNCTIONS: [Function; 4] = [
    Function::scalar("haversine", &[FLOAT, FLOAT, FLOAT, FLOAT], FLOAT)
        .help("Kilometres between two points, given as latitude and longitude in degrees."),
    Function::scalar("hemisphere", &[FLOAT], ValueType::Text).help("North or south, by latitude in degrees."),
    Function::aggregate("harmonic_mean", &[FLOAT], FLOAT).help("Harmonic mean of positive values."),
    Function::aggregate("mad", &[FLOAT], FLOAT).help("Median absolute deviation from the median."),
];

/// The plugin.
#[derive(Debug)]
pub struct Geo;

impl Plugin for Geo {
    const NAME: &'static str = "geo";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object", "additionalProperties": false}"#;
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(config: Config) -> Result<Self, String> {
        config.finish().map(|()| Self)
    }
}

impl FunctionLibrary for Geo {
    fn functions(&self) -> Vec<Function> {
        FUNCTIONS.to_vec()
    }

    fn call(&self, function: usize, arguments: &Arguments) -> Result<Values, Fault> {
        match function {
            0 => haversine(arguments),
            1 => hemisphere(arguments),
            _ => Err(Fault::new("no scalar function")),
        }
    }

    fn accumulate(
        &self,
        function: usize,
        grouping: &Grouping,
        arguments: &Arguments,
    ) -> Result<States, Fault> {
        let values = arguments.floats(0)?;
        let rows = arguments.rows();
        if function == 2 {
            if let Some(row) = (0..rows).find(|row| values.get(*row).is_some_and(|value| value <= 0.0)) {
                return Err(Fault::of_row(row, "harmonic_mean takes positive values only"));
            }
            return Ok(accumulate(grouping, rows, |state: &mut Harmonic, row| {
                values.get(row).into_iter().for_each(|value| state.add(value));
            }));
        }
        Ok(accumulate(grouping, rows, |state: &mut Deviation, row| {
            values.get(row).into_iter().for_each(|value| state.add(value));
        }))
    }

    fn merge(&self, function: usize, grouping: &Grouping, states: &States) -> Result<States, Fault> {
        if function == 2 { merge::<Harmonic>(grouping, states) } else { merge::<Deviation>(grouping, states) }
    }

    fn finish(&self, function: usize, states: &States) -> Result<Values, Fault> {
        let values: Vec<Option<f64>> = match function {
            2 => states.read::<Harmonic>()?.iter().map(Harmonic::value).collect(),
            _ => states.read::<Deviation>()?.into_iter().map(Deviation::value).collect(),
        };
        let floats = values.iter().map(|value| value.unwrap_or_default()).collect();
        Ok(Values::floats(floats).valid_if(values.iter().map(Option::is_some)))
    }
}

fn haversine(arguments: &Arguments) -> Result<Values, Fault> {
    let [lat1, lon1, lat2, lon2] =
        [arguments.floats(0)?, arguments.floats(1)?, arguments.floats(2)?, arguments.floats(3)?];
    let from = lat1.values().iter().zip(lon1.values());
    let to = lat2.values().iter().zip(lon2.values());
    let kilometres = from.zip(to).map(|((lat1, lon1), (lat2, lon2))| distance(*lat1, *lon1, *lat2, *lon2));
    Ok(Values::floats(kilometres.collect()).valid_where(arguments.validity()))
}

fn distance(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let over_poles = lat1.to_radians().cos() * lat2.to_radians().cos() * half(lon1, lon2);
    2.0 * RADIUS_KM * (half(lat1, lat2) + over_poles).min(1.0).sqrt().asin()
}

fn hemisphere(arguments: &Arguments) -> Result<Values, Fault> {
    let latitudes = arguments.floats(0)?;
    let names = latitudes.values().iter().map(|latitude| if *latitude < 0.0 { "south" } else { "north" });
    Ok(Values::texts(names).valid_where(arguments.validity()))
}

export_functions!(Geo);

#[cfg(test)]
mod tests {
    use isinglass_plugin::{Column, Data};

    use super::*;

    fn floats(columns: &[&[f64]]) -> Arguments {
        let column = |(slot, values): (u16, &&[f64])| Column {
            slot,
            validity: None,
            data: Data::F64(values.to_vec()),
        };
        Arguments::new(columns[0].len(), (0..).zip(columns).map(column).collect())
    }

    #[test]
    fn berlin_to_paris() {
        let values = Geo.call(0, &floats(&[&[52.52], &[13.405], &[48.8566], &[2.3522]])).unwrap();
        let Data::F64(values) = values.data() else { panic!("floats") };
        assert!((values[0] - 877.46).abs() < 1.0, "{values:?}");
    }

    fn aggregate(function: usize, values: &[f64], cut: usize) -> Values {
        let grouping = Grouping { groups: 1, of_row: Vec::new() };
        let part = |values: &[f64]| Geo.accumulate(function, &grouping, &floats(&[values])).unwrap();
        let parts = [part(&values[..cut]), part(&values[cut..])];
        let both = match function {
            2 => States::of(&parts.map(|part| part.read::<Harmonic>().unwrap().remove(0))),
            _ => States::of(&parts.map(|part| part.read::<Deviation>().unwrap().remove(0))),
        };
        let merged = Geo.merge(function, &Grouping { groups: 1, of_row: vec![0, 0] }, &both).unwrap();
        Geo.finish(function, &merged).unwrap()
    }

    #[test]
    fn aggregates_do_not_depend_on_where_rows_are_cut() {
        for cut in 0..=5 {
            assert_eq!(
                aggregate(2, &[1.0, 2.0, 4.0, 4.0, 1.0], cut),
                Values::floats(vec![5.0 / 3.0]),
                "{cut}"
            );
            assert_eq!(aggregate(3, &[1.0, 1.0, 2.0, 2.0, 9.0], cut), Values::floats(vec![1.0]), "{cut}");
        }
        assert_eq!(aggregate(3, &[], 0), Values::floats(vec![0.0]).valid_if([false]));
        let fault =
            Geo.accumulate(2, &Grouping { groups: 1, of_row: vec![] }, &floats(&[&[1.0, 0.0]])).unwrap_err();
        assert_eq!(fault.row, Some(1));
    }
}
