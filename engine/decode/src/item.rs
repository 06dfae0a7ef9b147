//! Items that cannot be kept.

use isinglass_model::batch::Decoded;
use isinglass_model::counts::RejectedItem;
use isinglass_model::kind::Signal;
use isinglass_model::series::Refusal;

use crate::schema::{self, Message};
use crate::wire::{Reader, WireError};

/// Why one item is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Fault {
    #[cold]
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What ends the reading of an item: a fault of its own, or one of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Item(Fault),
    Wire(WireError),
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Item(fault)
    }
}

/// Tells the two apart: the request's fault goes on up.
pub(crate) fn split<T>(result: Result<T, Stop>) -> Result<Result<T, Fault>, WireError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Item(fault)) => Ok(Err(fault)),
        Err(Stop::Wire(error)) => Err(error),
    }
}

/// Counts `items` items under the fault. The message they came in is read to
/// its end first: bad framing behind a faulty field still refuses the request.
#[cold]
pub(crate) fn reject(
    decoded: &mut Decoded,
    signal: Signal,
    fault: &Fault,
    items: u64,
    message: &'static Message,
    reader: Reader<'_>,
) -> Result<(), WireError> {
    message.verify(reader)?;
    push(decoded, signal, fault, items, || schema::to_json(message, reader));
    if signal != Signal::Metrics {
        decoded.rejections.weigh(fault.reason, reader.len() as u64);
    }
    Ok(())
}

/// Counts `items` items under the fault; `text` is the item for people.
pub(crate) fn push(
    decoded: &mut Decoded,
    signal: Signal,
    fault: &Fault,
    items: u64,
    text: impl FnOnce() -> String,
) {
    decoded.rejections.push_many(fault.reason, items, |reason| RejectedItem {
        signal,
        reason,
        message: fault.message.clone(),
        plugin: String::new(),
        digest: String::new(),
        item: text(),
    });
}

/// Counts `items` items of a series that was refused before.
#[cold]
pub(crate) fn reject_again(
    decoded: &mut Decoded,
    refusal: &Refusal,
    items: u64,
    message: &'static Message,
    reader: Reader<'_>,
) -> Result<(), WireError> {
    message.verify(reader)?;
    push_again(decoded, refusal, items, || schema::to_json(message, reader));
    Ok(())
}

/// Counts `items` items of a series that was refused before; `text` is the item
/// for people.
pub(crate) fn push_again(
    decoded: &mut Decoded,
    refusal: &Refusal,
    items: u64,
    text: impl FnOnce() -> String,
) {
    decoded.rejections.push_many(refusal.reason.clone(), items, |reason| RejectedItem {
        signal: Signal::Metrics,
        reason,
        message: refusal.message.clone(),
        plugin: refusal.plugin.clone(),
        digest: refusal.digest.clone(),
        item: text(),
    });
}
