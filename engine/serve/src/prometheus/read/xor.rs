//! XOR chunks: floats as Gorilla packs them, in the layout of Prometheus' `tsdb/chunkenc`.
//!
//! ```text
//! count u16 BE │ t0 varint │ v0 64 bits │ Δt uvarint │ v1 │ (ΔΔt, v)…
//!
//! ΔΔt   0 = 0 │ 10 + 14 bits │ 110 + 17 │ 1110 + 20 │ 1111 + 64
//! v     0 = the same │ 10 + the bits that differ, where the last ones did
//!       11 + 5 bits leading zeros + 6 bits how many (0 = 64) + these bits
//! ```

/// Packs samples, whose times rise, into a chunk. At most `u16::MAX` of them.
pub(super) fn encode(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut bits = Bits { bytes: Vec::with_capacity(128), free: 0, by_bytes: true };
    let count = u16::try_from(samples.len()).unwrap_or(u16::MAX);
    bits.bytes.extend_from_slice(&count.to_be_bytes());
    let mut state = State { time: 0, delta: 0, value: 0, window: None };
    for (at, (time_ms, value)) in samples.iter().take(usize::from(count)).enumerate() {
        state.push(at, *time_ms, value.to_bits(), &mut bits);
    }
    bits.finish()
}

struct State {
    time: i64,
    delta: i64,
    value: u64,
    /// Leading and trailing zeros of the last difference that was written in full.
    window: Option<(u32, u32)>,
}

impl State {
    fn push(&mut self, at: usize, time: i64, value: u64, bits: &mut Bits) {
        let delta = time.wrapping_sub(self.time);
        match at {
            0 => {
                bits.uvarint(((time << 1) ^ (time >> 63)).cast_unsigned());
                bits.push(value, 64);
            }
            1 => {
                bits.uvarint(delta.cast_unsigned());
                self.push_value(value, bits);
            }
            _ => {
                push_change(delta.wrapping_sub(self.delta), bits);
                self.push_value(value, bits);
            }
        }
        (self.delta, self.time, self.value) = (delta, time, value);
    }

    fn push_value(&mut self, value: u64, bits: &mut Bits) {
        let change = value ^ self.value;
        if change == 0 {
            return bits.push(0, 1);
        }
        // Five bits hold the number of leading zeros.
        let (leading, trailing) = (change.leading_zeros().min(31), change.trailing_zeros());
        match self.window {
            Some((before, behind)) if leading >= before && trailing >= behind => {
                bits.push(0b10, 2);
                bits.push(change >> behind, 64 - before - behind);
            }
            _ => {
                let length = 64 - leading - trailing;
                bits.push(0b11, 2);
                bits.push(u64::from(leading), 5);
                bits.push(u64::from(length), 6);
                bits.push(change >> trailing, length);
                self.window = Some((leading, trailing));
            }
        }
    }
}

fn push_change(change: i64, bits: &mut Bits) {
    if change == 0 {
        return bits.push(0, 1);
    }
    for (prefix, prefix_bits, width) in [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)] {
        let half = 1_i64 << (width - 1);
        if (1 - half..=half).contains(&change) {
            bits.push(prefix, prefix_bits);
            return bits.push(change.cast_unsigned(), width);
        }
    }
    bits.push(0b1111, 4);
    bits.push(change.cast_unsigned(), 64);
}

/// Bytes that are filled from the highest bit.
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not taken.
    free: u32,
    /// Whether the last number had whole bytes.
    by_bytes: bool,
}

impl Bits {
    /// The lowest `count` bits of a number.
    fn push(&mut self, number: u64, count: u32) {
        self.by_bytes = count.is_multiple_of(8);
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (number >> (left - taken)) & ((1 << taken) - 1);
            self.free -= taken;
            left -= taken;
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << self.free) as u8;
            }
        }
    }

    /// Prometheus begins the next byte right after a whole one, so that a chunk that ends with one
    /// has an empty byte behind it.
    fn finish(mut self) -> Vec<u8> {
        if self.free == 0 && self.by_bytes {
            self.bytes.push(0);
        }
        self.bytes
    }

    /// Seven bits a byte, the lowest first.
    fn uvarint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push((number & 0x7f) | 0x80, 8);
            number >>= 7;
        }
        self.push(number, 8);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Reader<'a> {
        bytes: &'a [u8],
        at: usize,
    }

    impl Reader<'_> {
        fn bits(&mut self, count: u32) -> u64 {
            (0..count).fold(0, |number, _| {
                let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
                self.at += 1;
                number << 1 | u64::from(bit)
            })
        }

        fn uvarint(&mut self) -> u64 {
            let (mut number, mut shift) = (0, 0);
            loop {
                let byte = self.bits(8);
                number |= (byte & 0x7f) << shift;
                if byte < 0x80 {
                    return number;
                }
                shift += 7;
            }
        }

        fn change(&mut self) -> i64 {
            let ones = (0..4).take_while(|_| self.bits(1) == 1).count();
            let width = [0, 14, 17, 20, 64][ones];
            let bits = self.bits(width);
            if (1..64).contains(&width) && bits > 1 << (width - 1) {
                return bits.cast_signed() - (1 << width);
            }
            bits.cast_signed()
        }
    }

    /// Reads a chunk as Prometheus' `xorIterator` does.
    pub(in super::super) fn decode(chunk: &[u8]) -> Vec<(i64, f64)> {
        let count = u16::from_be_bytes([chunk[0], chunk[1]]);
        let mut reader = Reader { bytes: &chunk[2..], at: 0 };
        let (mut time, mut delta, mut value, mut window) = (0_i64, 0_i64, 0_u64, (0, 0));
        let mut samples = Vec::new();
        for at in 0..count {
            if at == 0 {
                let zigzag = reader.uvarint();
                time = (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed());
                value = reader.bits(64);
            } else {
                delta = if at == 1 {
                    reader.uvarint().cast_signed()
                } else {
                    delta.wrapping_add(reader.change())
                };
                time = time.wrapping_add(delta);
                if reader.bits(1) == 1 {
                    if reader.bits(1) == 1 {
                        let leading = reader.bits(5) as u32;
                        let length = match reader.bits(6) as u32 {
                            0 => 64,
                            length => length,
                        };
                        window = (leading, 64 - leading - length);
                    }
                    value ^= reader.bits(64 - window.0 - window.1) << window.1;
                }
            }
            samples.push((time, f64::from_bits(value)));
        }
        samples
    }

    fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
        samples.iter().map(|(time_ms, value)| (*time_ms, value.to_bits())).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_again(
            start in -10_i64..1 << 45,
            samples in prop::collection::vec((1_i64..3_000_000, any::<u64>(), 0_u8..4), 0..200),
        ) {
            let mut time = start;
            let mut last = 0;
            let samples: Vec<_> = samples.into_iter().map(|(step, random, kind)| {
                time += if kind == 3 { step } else { 15_000 };
                last = match kind { 0 => last, 1 => (f64::from_bits(last) + 1.0).to_bits(), _ => random };
                (time, f64::from_bits(last))
            }).collect();
            prop_assert_eq!(bits(&decode(&encode(&samples))), bits(&samples));
        }

        #[test]
        fn any_distance_of_times(times in prop::collection::btree_set(any::<i64>(), 0..20)) {
            let samples: Vec<_> = times.into_iter().map(|time| (time, 1.5)).collect();
            prop_assert_eq!(bits(&decode(&encode(&samples))), bits(&samples));
        }
    }

    /// Bytes that a Prometheus wrote for these samples.
    #[test]
    fn bytes_as_prometheus_writes_them() {
        for line in include_str!("testdata/chunks.txt").lines().filter(|line| !line.starts_with('#')) {
            let (samples, hex) = line.split_once(" = ").unwrap();
            let samples: Vec<(i64, f64)> = samples
                .split(' ')
                .map(|sample| {
                    let (time, bits) = sample.split_once(':').unwrap();
                    let bits = u64::from_str_radix(bits, 16).unwrap();
                    (time.parse().unwrap(), f64::from_bits(bits))
                })
                .collect();
            let written: String = encode(&samples).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(written, hex);
        }
    }
}
