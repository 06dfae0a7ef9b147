//! A value per row.

use arrow_array::Array as _;
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature};

use super::columns::{of_array, text_bytes, to_array};
use super::{Called, failed};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Scalar {
    called: Called,
    signature: Signature,
}

impl Scalar {
    pub(super) fn new(called: Called) -> Self {
        Self { signature: called.signature(), called }
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        self.called.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.called.returns())
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.called.coerce(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        // Without arguments nothing says that rows have the same value.
        let once =
            all_constant && !args.args.is_empty() && self.signature.volatility.is_immutable_or_stable();
        let rows = if once { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let bytes = arrays.iter().map(|array| array.get_array_memory_size()).sum();
        self.called.check(bytes)?;
        let arguments = self.called.memory.hold(bytes)?;
        let columns = arrays.iter().map(of_array).collect::<Result<Vec<_>>>()?;
        let value = self.called.function.call(rows, &columns).map_err(|error| failed(&error))?;
        self.called.limits.check_bytes(self.called.name(), u64::try_from(text_bytes(&value)).ok())?;
        drop(arguments);
        let array = to_array(self.called.memory.keep(value)?)?;
        Ok(match once {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}

trait Constant {
    fn is_immutable_or_stable(&self) -> bool;
}

impl Constant for datafusion::logical_expr::Volatility {
    fn is_immutable_or_stable(&self) -> bool {
        !matches!(self, Self::Volatile)
    }
}
