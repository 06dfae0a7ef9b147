//! Wording.

/// Bytes of a name shown in a message.
const SHOWN_BYTES: usize = 64;

/// `name` in quotes, cut where it is long.
pub(crate) fn quoted(name: &str) -> String {
    if name.len() <= SHOWN_BYTES {
        return format!("\"{name}\"");
    }
    let cut = (0..=SHOWN_BYTES).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    format!("\"{}…\"", &name[..cut])
}
