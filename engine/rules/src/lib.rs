//! Recording and alerting rules over any engine and any store.
//!
//! ```text
//! rule files ─▶ checked ─▶ groups, each with its clock ─▶ Evaluate ─▶ recording ─▶ Write
//!                             ▲      │                           └──▶ alerting ──▶ Write
//!                             │      ▼                                      └────▶ Notify
//!                          reload   state for the API
//! ```
//!
//! What rules do is what Prometheus 3.14 does: when groups are evaluated, what is written, when
//! alerts change and what is sent. What they need is handed in as traits: [`Evaluate`], [`Write`],
//! [`Notify`] and a [`RuleClock`].
//!
//! | module | holds |
//! |---|---|
//! | [`file`](mod@file) | rule files: read and checked |
//! | [`template`] | templates of labels and annotations |
//! | [`ports`] | what is handed in, and errors |
//! | [`alert`] | one alert and its states |
//! | [`group`] | a group: its rules, evaluated in order; recording, alerting, stale markers, restoring |
//! | [`schedule`] | when a group is due |
//! | [`manager`] | groups of all tenants as tasks; reload and shutdown |
//! | [`notify`] | queues and batches to Alertmanagers |
//! | [`view`] | what `/api/v1/rules` and `/api/v1/alerts` show |
//!
//! ```
//! use isinglass_rules::RuleFile;
//!
//! let text = "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: up ==\n";
//! let errors = RuleFile::parse("rules.yml", text).unwrap_err();
//! let wanted = "rules.yml: 5:11: group \"g\", rule 1, \"Down\": could not parse expression: \
//!               1:6: parse error: unexpected end of input";
//! assert_eq!(errors[0].to_string(), wanted);
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test ends where it goes wrong"))]

pub mod alert;
pub mod file;
pub mod group;
pub mod manager;
pub mod notify;
pub mod ports;
pub mod schedule;
pub mod template;
pub mod view;

pub use file::{FileError, RuleFile};
pub use group::Settings;
pub use manager::{GroupFigures, Manager, ManagerConfig, TenantFiles};
pub use notify::{HttpPost, Notifier, NotifierConfig, Sent};
pub use ports::{
    Evaluate, Evaluated, ForState, Notification, Notify, RuleClock, RuleError, RuleSample, SystemRuleClock,
    Write,
};
