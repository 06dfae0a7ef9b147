//! `labels`, `label/{name}/values` and `series`.

use isinglass_query::Found;

use super::call::{Answer, Call};
use super::envelope::{HEAD, Notes, TRUNCATED, json, success, write_tail};
use super::failure::Failure;
use super::names::unescaped;
use super::stream::{self, PIECE_BYTES};
use super::text::{write_html_array, write_labels};

/// `labels`: names of labels.
pub(super) async fn names(call: Call) -> Answer {
    let matchers = call.parameters.matchers().map_err(Failure::bad_data)?;
    let selection = call.parameters.selection(matchers)?;
    let _turn = call.app.queries.enter(&call.tenant).await?;
    texts(call.app.query.promql_label_names(&call.tenant, selection).await?)
}

/// `label/{name}/values`: values of a label.
pub(super) async fn values(call: Call) -> Answer {
    let name = unescaped(&call.name);
    if name.is_empty() {
        return Err(Failure::bad_data("invalid label name: \"\""));
    }
    let matchers = call.parameters.matchers().map_err(Failure::bad_data)?;
    let selection = call.parameters.selection(matchers)?;
    let _turn = call.app.queries.enter(&call.tenant).await?;
    texts(call.app.query.promql_label_values(&call.tenant, &name, selection).await?)
}

fn texts(found: Found<Vec<String>>) -> Answer {
    let mut data = Vec::new();
    write_html_array(found.items.iter().map(String::as_str), &mut data);
    Ok(success(&data, &notes(found.truncated, found.warnings)))
}

fn notes(truncated: bool, mut warnings: Vec<String>) -> Notes {
    if truncated && !warnings.iter().any(|warning| warning == TRUNCATED) {
        warnings.push(TRUNCATED.to_owned());
    }
    Notes::warnings(warnings)
}

/// `series`: label sets.
pub(super) async fn series(call: Call) -> Answer {
    if call.parameters.all("match[]").next().is_none() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let matchers = call.parameters.matchers().map_err(|reason| Failure::parameter("match[]", reason))?;
    let selection = call.parameters.selection(matchers)?;
    let turn = call.app.queries.enter(&call.tenant).await?;
    let found = call.app.query.promql_series(&call.tenant, selection).await?;
    let notes = notes(found.truncated, found.warnings);
    let mut sets = found.items.into_iter().peekable();
    let mut begun = false;
    let mut ended = false;
    let pieces = std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        if !std::mem::replace(&mut begun, true) {
            piece.extend_from_slice(HEAD);
            piece.push(b'[');
        }
        while let Some(labels) = sets.next() {
            write_labels(labels.iter(), &mut piece);
            if sets.peek().is_some() {
                piece.push(b',');
            }
            if piece.len() >= PIECE_BYTES {
                return Some(piece);
            }
        }
        if !std::mem::replace(&mut ended, true) {
            piece.push(b']');
            write_tail(&notes, &mut piece);
        }
        (!piece.is_empty()).then_some(piece)
    });
    Ok(json(stream::body(pieces, turn)))
}
