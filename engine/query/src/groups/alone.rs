//! Groups by one column only.

/// The values of one column are the groups, and those who have none are one more.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Values so far, numbered from 1.
    values: u32,
    /// The group of those who have none.
    none: Option<u32>,
}

impl Alone {
    /// Replaces numbers of values, which are 0 where there is none, by those of groups.
    pub(super) fn number(&mut self, numbers: &mut [u32]) {
        for number in numbers {
            *number = match number.checked_sub(1) {
                None => *self.none.get_or_insert(self.values),
                Some(at) => {
                    self.values = self.values.max(*number);
                    at + u32::from(self.none.is_some_and(|none| none <= at))
                }
            };
        }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.values as usize + usize::from(self.none.is_some())
    }

    /// The number of each group's value.
    pub(super) fn values(&self) -> Vec<u32> {
        let mut values: Vec<u32> = (1..=self.values).collect();
        if let Some(none) = self.none {
            values.insert(none as usize, 0);
        }
        values
    }
}
