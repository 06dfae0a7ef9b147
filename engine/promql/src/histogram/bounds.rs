//! Where buckets begin and end.
//!
//! In schema `s`, bucket `i` of the positive side holds `(b^(i-1), b^i]` with `b = 2^(2^-s)`.

use super::CUSTOM_BUCKETS;

/// The lowest resolution that a sender may use.
pub const SCHEMA_MIN: i32 = -4;
/// The highest resolution that a sender may use and a query computes with.
pub const SCHEMA_MAX: i32 = 8;
/// Schemas that are reserved for exponential buckets; those above [`SCHEMA_MAX`] are reduced to it.
pub const SCHEMAS_KNOWN: std::ops::RangeInclusive<i32> = -9..=52;

const STEPS: usize = 1 << SCHEMA_MAX;

/// `2^(2^-s)` for s from 1 to 8 as Prometheus' table was made: the first is one unit in the last place below
/// the nearest double, and all that follow from it inherit that. Bounds are compared for equality, so ours
/// must be the same bits.
const FACTORS: [f64; 8] = [
    std::f64::consts::SQRT_2.next_down(),
    1.189207115002721,
    1.0905077326652577,
    1.0442737824274138,
    1.0218971486541166,
    1.0108892860517005,
    1.0054299011128027,
    1.0027112750502025,
];

/// The bounds from 0.5 to 1 in schema 8; those of schema `s` are every `2^(8-s)`th.
const FRACTIONS: [f64; STEPS] = fractions();

const fn fractions() -> [f64; STEPS] {
    let mut table = [0.5; STEPS];
    let mut schema = 1;
    while schema <= FACTORS.len() {
        // Each schema puts one bound between any two of the schema before.
        let step = STEPS >> schema;
        let mut at = step;
        while at < STEPS {
            table[at] = table[at - step] * FACTORS[schema - 1];
            at += 2 * step;
        }
        schema += 1;
    }
    table
}

/// The absolute upper bound of bucket `index` in an exponential schema.
///
/// The last bucket of finite numbers ends at [`f64::MAX`], so that infinities have a bucket of their own.
pub fn exponential_bound(index: i64, schema: i32) -> f64 {
    match schema {
        ..0 => bound_of_whole_powers(index, schema.unsigned_abs()),
        0..=SCHEMA_MAX => bound_by_table(index, schema.unsigned_abs()),
        _ => (index as f64 * (-f64::from(schema)).exp2()).exp2(),
    }
}

fn bound_of_whole_powers(index: i64, coarseness: u32) -> f64 {
    // Twelve doublings of any index but zero leave the range of f64.
    let exponent = index.saturating_mul(1 << coarseness.min(12));
    if exponent == 1024 { f64::MAX } else { scale_by_power(1.0, exponent) }
}

fn bound_by_table(index: i64, schema: u32) -> f64 {
    let within = (index & ((1 << schema) - 1)) as usize;
    let fraction = FRACTIONS[within << (SCHEMA_MAX.unsigned_abs() - schema)];
    let exponent = (index >> schema) + 1;
    if fraction == 0.5 && exponent == 1025 { f64::MAX } else { scale_by_power(fraction, exponent) }
}

/// `value * 2^exponent` for values from 0.5 to 1, rounded once even where the result is subnormal.
fn scale_by_power(value: f64, exponent: i64) -> f64 {
    const SHIFT: i64 = 200;
    let exponent = exponent.clamp(-1100, 1100);
    if exponent < -1000 {
        value * power_of_two(exponent + SHIFT) * power_of_two(-SHIFT)
    } else if exponent > 1000 {
        value * power_of_two(exponent - SHIFT) * power_of_two(SHIFT)
    } else {
        value * power_of_two(exponent)
    }
}

/// `2^exponent` for exponents of normal numbers.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The upper bound of bucket `index` among custom bounds: infinite before the first and after the last.
pub fn custom_bound(index: i64, bounds: &[f64]) -> f64 {
    match usize::try_from(index) {
        Ok(at) => bounds.get(at).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// The absolute upper bound of bucket `index` in any schema.
pub(super) fn bound(index: i64, schema: i32, custom: &[f64]) -> f64 {
    if schema == CUSTOM_BUCKETS { custom_bound(index, custom) } else { exponential_bound(index, schema) }
}

/// The index in a schema coarser by `shift` of the bucket that holds bucket `index`.
pub(super) fn coarser_index(index: i64, shift: u32) -> i64 {
    ((index - 1) >> shift.min(63)) + 1
}
