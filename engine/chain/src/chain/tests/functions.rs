//! Functions of plugins, called as queries call them.

use isinglass_model::columns::TextBuffers;
use isinglass_model::functions::{CallError, CallMemory, ColumnFunction, States, ValueType};
use parking_lot::Mutex;

use super::*;

fn binding(file: &str) -> Value {
    let path = format!("{}/../../plugins/dist/{file}.wasm", env!("CARGO_MANIFEST_DIR"));
    json!({ "name": "functions", "source": format!("file:{path}"), "world": "function" })
}

fn functions(config: Value, of: &str) -> Vec<Arc<dyn ColumnFunction>> {
    Arc::new(load(config)).functions(&tenant(of))
}

fn named(all: &[Arc<dyn ColumnFunction>], name: &str) -> Arc<dyn ColumnFunction> {
    Arc::clone(all.iter().find(|function| function.signature().name == name).unwrap())
}

fn floats(values: &[f64]) -> Column {
    Column::new(ColumnData::F64(values.to_vec().into()))
}

fn read(column: &Column) -> Vec<Option<f64>> {
    let ColumnData::F64(values) = &column.data else { panic!("floats") };
    let valid = |row| column.validity.as_ref().is_none_or(|validity| validity.is_valid(row));
    values.iter().enumerate().map(|(row, value)| valid(row).then_some(*value)).collect()
}

#[test]
fn a_scalar_function_gives_a_value_per_row_however_it_is_cut() {
    let expected: Vec<Option<f64>> = {
        let all = functions(json!({ "bindings": [binding("examples/geo")] }), "acme");
        assert_eq!(named(&all, "haversine").signature().arguments, [ValueType::Float64; 4]);
        let lat: Vec<f64> = (0..1_000).map(|n| f64::from(n) / 10.0).collect();
        let mut latitudes = floats(&lat);
        latitudes.validity = Some((0..1_000).map(|row| row % 7 != 3).collect());
        let zeros = floats(&[0.0; 1_000]);
        read(
            &named(&all, "haversine").call(1_000, &[latitudes, zeros.clone(), zeros.clone(), zeros]).unwrap(),
        )
    };
    assert!((expected[900].unwrap() - 10_007.5).abs() < 1.0, "a quarter of the globe: {:?}", expected[900]);
    assert_eq!(expected[3], None);
    let cut = functions(json!({ "bindings": [binding("examples/geo")], "call_rows_max": 7 }), "acme");
    let lat: Vec<f64> = (0..1_000).map(|n| f64::from(n) / 10.0).collect();
    let zeros = floats(&[0.0; 1_000]);
    let again = read(
        &named(&cut, "haversine").call(1_000, &[floats(&lat), zeros.clone(), zeros.clone(), zeros]).unwrap(),
    );
    for row in (0..1_000).filter(|row| row % 7 != 3) {
        assert_eq!(again[row], expected[row]);
    }
    let names = named(&cut, "hemisphere")
        .call(9, &[floats(&[1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -2.0])])
        .unwrap();
    let ColumnData::Text(TextBuffers { offsets, data }) = names.data else { panic!("text") };
    assert_eq!(&data[offsets[7] as usize..offsets[8] as usize], b"south");
    assert_eq!(offsets.len(), 10);
}

fn aggregate(
    all: &[Arc<dyn ColumnFunction>],
    name: &str,
    groups: &[u32],
    values: &[f64],
) -> Vec<Option<f64>> {
    let function = named(all, name);
    let half = values.len() / 2;
    let part = |range: std::ops::Range<usize>| {
        let column = floats(&values[range.clone()]);
        function.accumulate(3, &groups[range.clone()], range.len(), &[column]).unwrap()
    };
    let (one, other) = (part(0..half), part(half..values.len()));
    let mut groups = one.groups;
    groups.extend(&other.groups);
    let mut offsets: Vec<i32> = one.bytes.offsets.to_vec();
    offsets.extend(other.bytes.offsets.iter().skip(1).map(|at| at + one.bytes.data.len() as i32));
    let data = [&one.bytes.data[..], &other.bytes.data[..]].concat();
    let bytes = TextBuffers { offsets: offsets.into(), data: arrow_buffer::Buffer::from_vec(data) };
    let merged = function.merge(3, &States { groups, bytes }).unwrap();
    assert_eq!(merged.groups, [0, 1, 2]);
    read(&function.finish(&merged).unwrap())
}

#[test]
fn states_are_merged_across_parts_and_cuts() {
    for rows_max in [16_384, 2] {
        let config = json!({ "bindings": [binding("examples/geo")], "call_rows_max": rows_max });
        let all = functions(config, "acme");
        let (groups, values) = ([0, 1, 0, 1, 0, 0], [1.0, 4.0, 1.0, 4.0, 2.0, 9.0]);
        let mean = 4.0 / (1.0 + 1.0 + 0.5 + 1.0 / 9.0);
        assert_eq!(aggregate(&all, "harmonic_mean", &groups, &values), [Some(mean), Some(4.0), None]);
        assert_eq!(aggregate(&all, "mad", &groups, &values), [Some(0.5), Some(0.0), None]);
    }
}

#[test]
fn a_fault_of_the_arguments_is_told_and_blames_nobody_else() {
    let chain = Arc::new(load(json!({ "bindings": [binding("examples/geo")] })));
    let all = chain.functions(&tenant("acme"));
    let error = named(&all, "harmonic_mean").accumulate(1, &[], 2, &[floats(&[1.0, 0.0])]).unwrap_err();
    let text = "function harmonic_mean of plugin geo@0.1.0: row 1: harmonic_mean takes positive values only (2 rows)";
    assert_eq!((error.to_string().as_str(), error.of_arguments), (text, true));
    assert!(chain.stats()[0].failures.is_empty());
}

#[test]
fn what_a_function_does_wrong_is_its_callers_error() {
    let cases = [
        ("trap", "trap"),
        ("spin", "time"),
        ("grow", "memory"),
        ("too_few_rows", "19 values for 20 rows"),
        ("too_many_rows", "21 values for 20 rows"),
        ("other_type", "not of the type float64"),
        ("bad_validity", "bytes of validity for 20 rows"),
        ("huge_output", "output"),
    ];
    let tenants: serde_json::Map<_, _> = cases
        .iter()
        .map(|(does, _)| ((*does).to_owned(), json!({ "functions": { "does": does } })))
        .collect();
    let chain = Arc::new(load(json!({ "bindings": [binding("test/hostile-function")], "tenants": tenants })));
    let call = |of: &str| {
        let all = chain.functions(&tenant(of));
        named(&all, "hostile").call(20, &[floats(&[0.5; 20])]).map(|column| read(&column))
    };
    for (does, fault) in cases {
        let CallError { fault: got, of_arguments, rows, .. } = call(does).unwrap_err();
        assert!(got.contains(fault), "{does}: {got}");
        assert_eq!((of_arguments, rows), (false, 20));
    }
    assert_eq!(call("other").unwrap(), [Some(1.0); 20]);
    // A second of thread CPU time, where intake has a fifth of that.
    let cpu = chain.stats()[0].cpu_seconds;
    assert!((0.9..5.0).contains(&cpu), "{cpu}");
}

/// Somebody who pays for at most so much.
#[derive(Debug)]
struct Purse {
    limit: usize,
    taken: Mutex<(usize, usize)>,
}

impl Purse {
    fn of(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default() })
    }

    fn peak(&self) -> usize {
        let (now, peak) = *self.taken.lock();
        assert_eq!(now, 0, "all was given back");
        peak
    }
}

impl CallMemory for Purse {
    fn take(&self, bytes: usize) -> Result<(), String> {
        let (now, peak) = &mut *self.taken.lock();
        if *now + bytes > self.limit {
            return Err(format!("{bytes} bytes more than {}", self.limit));
        }
        *now += bytes;
        *peak = (*peak).max(*now);
        Ok(())
    }

    fn give(&self, bytes: usize) {
        let (now, _) = &mut *self.taken.lock();
        *now -= bytes;
    }
}

#[test]
fn who_calls_pays_for_what_the_guest_and_its_answer_hold() {
    let config = json!({ "bindings": [binding("examples/geo")], "call_rows_max": 4_000 });
    let chain = Arc::new(load(config));
    let all = chain.functions(&tenant("acme"));
    let rows = 10_000;
    let call = |name: &str, purse: &Arc<Purse>| {
        let arguments = vec![floats(&vec![1.0; rows]); named(&all, name).signature().arguments.len()];
        named(&all, name).charged_to(Arc::<Purse>::clone(purse)).call(rows, &arguments)
    };
    let purse = Purse::of(64 << 20);
    call("hemisphere", &purse).unwrap();
    let guest = chain.stats()[0].memory_bytes as usize;
    // A text of five bytes and an offset per row, as parts and as a whole; and the guest.
    assert!(purse.peak() >= guest.max(2 * 9 * rows), "{} of {guest}", purse.peak());
    // Less than the guest holds before it is called, and less than the answer needs.
    for limit in [1 << 10, 2 * 9 * rows - 1_000] {
        let error = call("hemisphere", &Purse::of(limit)).unwrap_err();
        assert!(error.of_memory && !error.of_arguments, "{error}");
        assert!(error.fault.ends_with(&format!("bytes more than {limit}")), "{error}");
    }
    // Neither is held against the plugin.
    assert!(chain.stats()[0].failures.is_empty() && !chain.bound(&tenant("acme"))[0].left_alone);
    call("hemisphere", &purse).unwrap();
}

/// A guest that grows is stopped where its caller has no more, short of its own budget.
#[test]
fn a_guest_that_grows_is_charged_for_it() {
    let config = json!({ "functions": { "does": "grow" } });
    let chain =
        load(json!({ "bindings": [binding("test/hostile-function")], "tenants": { "acme": config } }));
    let chain = Arc::new(chain);
    let purse = Purse::of(8 << 20);
    let function = named(&chain.functions(&tenant("acme")), "hostile");
    let error = function.charged_to(Arc::<Purse>::clone(&purse)).call(20, &[floats(&[0.5; 20])]).unwrap_err();
    assert!(error.of_memory, "{error}");
    let peak = purse.peak();
    assert!(peak > 1 << 20 && peak <= 8 << 20, "{peak}");
    assert!(chain.stats()[0].failures.is_empty());
}

#[test]
fn names_are_told_apart() {
    let prefixed = with(with(binding("examples/geo"), "prefix", json!("geo_")), "name", json!("other"));
    let all = functions(json!({ "bindings": [binding("examples/geo"), prefixed] }), "acme");
    let names: Vec<_> = all.iter().map(|function| function.signature().name.clone()).collect();
    assert_eq!(names.len(), 8);
    assert!(names.contains(&"haversine".to_owned()) && names.contains(&"geo_haversine".to_owned()));
    let twice =
        json!({ "bindings": [binding("examples/geo"), with(binding("examples/geo"), "name", json!("b"))] });
    let error = try_load(twice, clock()).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("there are two functions") && error.contains("give the binding a prefix"),
        "{error}"
    );
    let same = with(binding("test/hostile-function"), "config", json!({ "does": "same_name" }));
    assert!(try_load(json!({ "bindings": [same] }), clock()).is_err());
}
