//! Functions of samples that PromQL does not have: a block of series is one call.

use std::sync::Arc;

use super::{Boxed, Context, Operator};
use crate::block::{ABSENT, Block, is_absent};
use crate::error::{ErrorKind, EvalError, Result};
use crate::source::{SampleFunction, Source};

/// Applies such a function to its input.
pub(super) struct Brought<'a> {
    function: Arc<dyn SampleFunction>,
    input: Boxed<'a>,
    params: Vec<Arc<[f64]>>,
    source: &'a dyn Source,
}

/// The function of a name, with so many scalars.
pub(super) fn find(name: &str, scalars: usize, cx: &Context<'_>) -> Result<Arc<dyn SampleFunction>> {
    let bad = |message: String| EvalError::of(ErrorKind::BadData, message);
    let function =
        cx.source.function(name).ok_or_else(|| bad(format!("unknown function with name {name:?}")))?;
    match function.scalars() == scalars {
        true => Ok(function),
        false => Err(bad(format!("{name:?} takes {} scalars, not {scalars}", function.scalars()))),
    }
}

impl<'a> Brought<'a> {
    pub(super) fn new(
        function: &Arc<dyn SampleFunction>,
        input: Boxed<'a>,
        params: &[Arc<[f64]>],
        source: &'a dyn Source,
    ) -> Self {
        Self { function: Arc::clone(function), input, params: params.to_vec(), source }
    }
}

impl Operator for Brought<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        while let Some(mut block) = self.input.next()? {
            // The samples, the scalars beside them, what comes back, once more in the guest.
            let bytes = 16 * block.values.len() * (3 + self.params.len());
            self.source.hold(bytes)?;
            let applied = self.apply(&mut block);
            self.source.release(bytes);
            applied?;
            block.retain_present();
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

impl Brought<'_> {
    fn apply(&self, block: &mut Block) -> Result<()> {
        for row in &mut block.rows {
            row.drop_name = true;
            row.histograms = None;
        }
        let steps = block.steps.max(1);
        let present: Vec<usize> =
            (0..block.values.len()).filter(|at| !is_absent(block.values[*at])).collect();
        if present.is_empty() {
            return Ok(());
        }
        let mut columns = Vec::with_capacity(1 + self.params.len());
        columns.push(present.iter().map(|at| block.values[*at]).collect());
        for param in &self.params {
            columns.push(present.iter().map(|at| param[at % steps]).collect());
        }
        let values = self.function.call(columns)?;
        if values.len() != present.len() {
            let (got, wanted) = (values.len(), present.len());
            return Err(EvalError::internal(format!("a function gave {got} values for {wanted} samples")));
        }
        for (at, value) in present.into_iter().zip(values) {
            // No function makes a stale marker.
            let made = value.map(|value| if is_absent(value) { f64::NAN } else { value });
            block.values[at] = made.unwrap_or(ABSENT);
        }
        Ok(())
    }
}
