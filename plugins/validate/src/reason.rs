//! Reason codes, the same as the engine's own.

pub(crate) const MISSING_METRIC_NAME: &str = "missing_metric_name";
pub(crate) const METRIC_NAME_INVALID: &str = "metric_name_invalid";
pub(crate) const MAX_LABEL_NAMES_PER_SERIES: &str = "max_label_names_per_series";
pub(crate) const LABEL_INVALID: &str = "label_invalid";
pub(crate) const LABEL_NAME_TOO_LONG: &str = "label_name_too_long";
pub(crate) const LABEL_VALUE_TOO_LONG: &str = "label_value_too_long";
pub(crate) const DUPLICATE_LABEL_NAMES: &str = "duplicate_label_names";
pub(crate) const TOO_FAR_IN_FUTURE: &str = "too_far_in_future";
pub(crate) const TOO_FAR_IN_PAST: &str = "too_far_in_past";
pub(crate) const GREATER_THAN_MAX_SAMPLE_AGE: &str = "greater_than_max_sample_age";
pub(crate) const MISSING_ENFORCED_LABELS: &str = "missing_enforced_labels";
pub(crate) const DISALLOWED_STRUCTURED_METADATA: &str = "disallowed_structured_metadata";
pub(crate) const LINE_TOO_LONG: &str = "line_too_long";
pub(crate) const STRUCTURED_METADATA_TOO_LARGE: &str = "structured_metadata_too_large";
pub(crate) const STRUCTURED_METADATA_TOO_MANY: &str = "structured_metadata_too_many";
pub(crate) const INVALID_TRACE_ID: &str = "invalid_trace_id";
pub(crate) const INVALID_SPAN_ID: &str = "invalid_span_id";
pub(crate) const TOO_MANY_ATTRIBUTES: &str = "too_many_attributes";
pub(crate) const ATTRIBUTE_KEY_TOO_LONG: &str = "attribute_key_too_long";
pub(crate) const ATTRIBUTE_VALUE_TOO_LONG: &str = "attribute_value_too_long";
pub(crate) const DUPLICATE_ATTRIBUTE_KEYS: &str = "duplicate_attribute_keys";
pub(crate) const SPAN_NAME_TOO_LONG: &str = "span_name_too_long";
