//! The configuration: the limits of a tenant, as the engine names them.

use isinglass_plugin::Config;

macro_rules! limits {
    ($($name:ident: $ty:ty = $default:expr,)+) => {
        /// Limits. What each means stands in `config.schema.json`.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct Limits {
            $(pub(crate) $name: $ty,)+
        }

        impl Limits {
            pub(crate) fn read(mut config: Config) -> Result<Self, String> {
                let limits = Self { $($name: Setting::read(&mut config, stringify!($name), $default)?,)+ };
                config.finish()?;
                limits.check()
            }
        }
    };
}

limits! {
    label_name_bytes_max: u32 = 1_024,
    label_value_bytes_max: u32 = 2_048,
    labels_per_series_max: u32 = 30,
    labels_per_stream_max: u32 = 15,
    future_grace_ms: i64 = 600_000,
    past_grace_ms: i64 = 0,
    log_age_max_ms: i64 = 7 * 86_400_000,
    span_age_max_ms: i64 = 0,
    line_bytes_max: u32 = 256 << 10,
    stream_labels_required: Vec<String> = Vec::new(),
    log_attributes_allowed: bool = true,
    log_attributes_max: u32 = 128,
    log_attributes_bytes_max: u32 = 64 << 10,
    span_attributes_max: u32 = 128,
    attribute_key_bytes_max: u32 = 1_024,
    attribute_value_bytes_max: u32 = 64 << 10,
    span_name_bytes_max: u32 = 1_024,
}

/// A value of the configuration.
trait Setting: Sized {
    fn read(config: &mut Config, key: &'static str, default: Self) -> Result<Self, String>;
}

impl Setting for u32 {
    fn read(config: &mut Config, key: &'static str, default: Self) -> Result<Self, String> {
        config.u32(key, default)
    }
}

impl Setting for i64 {
    fn read(config: &mut Config, key: &'static str, default: Self) -> Result<Self, String> {
        config.i64(key, default)
    }
}

impl Setting for bool {
    fn read(config: &mut Config, key: &'static str, default: Self) -> Result<Self, String> {
        config.boolean(key, default)
    }
}

/// Without a default: what is absent is empty.
impl Setting for Vec<String> {
    fn read(config: &mut Config, key: &'static str, _: Self) -> Result<Self, String> {
        config.texts(key)
    }
}

impl Limits {
    fn check(self) -> Result<Self, String> {
        let times = [
            ("future_grace_ms", self.future_grace_ms),
            ("past_grace_ms", self.past_grace_ms),
            ("log_age_max_ms", self.log_age_max_ms),
            ("span_age_max_ms", self.span_age_max_ms),
        ];
        match times.iter().find(|(_, limit)| *limit < 0) {
            Some((key, _)) => Err(format!("{key} is negative")),
            None => Ok(self),
        }
    }
}
