//! Maps by hand.

use arrow_array::MapArray;
use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};

/// The attributes of a row: keys and values.
pub(in crate::files::merge) type Row = Option<Vec<(String, Option<String>)>>;

pub(in crate::files::merge) fn map_of(rows: &[Row]) -> MapArray {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in row.iter().flatten() {
            map.keys().append_value(key);
            map.values().append_option(value.as_deref());
        }
        map.append(row.is_some()).unwrap();
    }
    map.finish()
}
