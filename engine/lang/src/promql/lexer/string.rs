//! How far a text in quotes reaches, and whether its escapes are such.

/// Bytes up to and with the closing quote, of what follows the opening one.
pub(super) fn length(rest: &str, quote: char) -> Result<usize, String> {
    if quote == '`' {
        return rest.find('`').map(|end| end + 1).ok_or_else(|| "unterminated raw string".into());
    }
    let mut chars = rest.chars();
    loop {
        match chars.next() {
            None | Some('\n') => return Err("unterminated quoted string".into()),
            Some('\\') => escape(&mut chars, quote)?,
            Some(char) if char == quote => return Ok(rest.len() - chars.as_str().len()),
            Some(_) => {}
        }
    }
}

fn escape(chars: &mut std::str::Chars<'_>, quote: char) -> Result<(), String> {
    let not_terminated = || String::from("escape sequence not terminated");
    let first = chars.next().ok_or_else(not_terminated)?;
    let (mut digits, base, most) = match first {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
        char if char == quote => return Ok(()),
        '0'..='7' => (2, 8, 255),
        'x' => (2, 16, 255),
        'u' => (4, 16, u32::from(char::MAX)),
        'U' => (8, 16, u32::from(char::MAX)),
        other => return Err(format!("unknown escape sequence {}", named(other))),
    };
    let mut value = if base == 8 { first.to_digit(8).unwrap_or(0) } else { 0 };
    while digits > 0 {
        let char = chars.next().ok_or_else(not_terminated)?;
        let digit = char
            .to_digit(base)
            .ok_or_else(|| format!("illegal character {} in escape sequence", named(char)))?;
        value = value.wrapping_mul(base).wrapping_add(digit);
        digits -= 1;
    }
    if value > most || (0xD800..0xE000).contains(&value) {
        return Err("escape sequence is an invalid Unicode code point".into());
    }
    Ok(())
}

/// `U+0063 'c'`.
fn named(char: char) -> String {
    if char.is_control() {
        format!("U+{:04X}", u32::from(char))
    } else {
        format!("U+{:04X} '{char}'", u32::from(char))
    }
}
