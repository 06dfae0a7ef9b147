//! Durations, offsets and `@`.

use super::Writer;

impl Writer<'_> {
    pub(super) fn range(&mut self) -> String {
        match self.random.below(20) {
            0 => self.random.pick(&["5m+1m", "2m*3", "300", "1h/4", "-1m+10m", "90.5", "2^6"]).to_owned(),
            _ => self
                .random
                .pick(&["1m", "2m", "5m", "5m", "10m", "30m", "1h", "37s", "1s", "2m30s", "1ms"])
                .to_owned(),
        }
    }

    /// An offset, a time, both in any order, and mostly nothing.
    pub(super) fn modifiers(&mut self) -> String {
        match self.random.below(100) {
            0..8 => self.offset(),
            8..12 => self.at(),
            12..14 => format!("{}{}", self.offset(), self.at()),
            14..16 => format!("{}{}", self.at(), self.offset()),
            _ => String::new(),
        }
    }

    fn offset(&mut self) -> String {
        let offset = ["1m", "30s", "7m", "-1m", "-5m", "1ms", "0s", "1h", "(1m+30s)", "-(2m*2)", "45"];
        format!(" offset {}", self.random.pick(&offset))
    }

    fn at(&mut self) -> String {
        match self.random.below(4) {
            0 => " @ start()".to_owned(),
            1 => " @ end()".to_owned(),
            _ => {
                let time_ms = self.random.between(self.times_ms.0, self.times_ms.1);
                format!(" @ {}.{:03}", time_ms / 1000, time_ms.rem_euclid(1000))
            }
        }
    }
}
