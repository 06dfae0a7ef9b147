//! A line without what varies: numbers, ids, addresses, times, quoted words.

use crate::ANY;

/// Bytes of a line that are looked at.
const LINE_BYTES_MAX: usize = 4_096;
/// Bytes of a pattern, which is a label of series.
const PATTERN_BYTES_MAX: usize = 400;
/// Hexadecimal letters that are an id and no word.
const HEX_MIN: usize = 8;

/// Words that have a digit and mean something.
const WORDS: [&str; 22] = [
    "base64", "ec2", "gen2", "http1", "http2", "http3", "i18n", "ipv4", "ipv6", "k8s", "l10n", "md5",
    "oauth2", "p50", "p90", "p95", "p99", "s3", "sha1", "sha256", "utf8", "x86",
];

/// Appends the pattern of a line. What is a delimiter stays; a word between delimiters is
/// masked piece by piece, so that `/api/v1/users/17` and `web-7f9c-x1` keep what they share.
pub fn mask(line: &str, pattern: &mut String) {
    let from = pattern.len();
    let line = cut(line.trim_end(), LINE_BYTES_MAX);
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        if next == '"' || next == '\'' {
            rest = quoted(rest, next, before(pattern, from), pattern);
        } else if is_delimiter(next) {
            pattern.push(if next.is_control() { ' ' } else { next });
            rest = &rest[next.len_utf8()..];
        } else {
            let end = rest.find(is_delimiter).unwrap_or(rest.len());
            word(&rest[..end], pattern);
            rest = &rest[end..];
        }
        if pattern.len() - from > PATTERN_BYTES_MAX {
            break;
        }
    }
    let end = from + cut(&pattern[from..], PATTERN_BYTES_MAX).len();
    pattern.truncate(end);
}

fn cut(text: &str, bytes_max: usize) -> &str {
    match text.len() <= bytes_max {
        true => text,
        false => &text[..(0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)],
    }
}

fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || "=,;()[]{}<>|&?/\"'`\\".contains(c)
}

fn before(pattern: &str, from: usize) -> Option<char> {
    pattern[from..].chars().next_back()
}

/// A quoted text: one word that stands by itself is a value; anything longer, a key of JSON
/// and what follows `=` or `:` is a text with words of its own. An apostrophe is no quote.
fn quoted<'a>(rest: &'a str, quote: char, before: Option<char>, pattern: &mut String) -> &'a str {
    let inner = &rest[1..];
    pattern.push(quote);
    let alone = before.is_none_or(|c| c.is_whitespace() || c == '(');
    let Some(end) = inner.find(quote).filter(|_| alone) else { return inner };
    let follows = inner[end + 1..].chars().next();
    if end == 0 || follows == Some(':') || inner[..end].contains(char::is_whitespace) {
        return inner;
    }
    pattern.push_str(ANY);
    pattern.push(quote);
    &inner[end + 1..]
}

/// A word, in pieces between `-`, `_`, `.`, `:`, `+` and `@`. Masked pieces that follow each
/// other are one, with what is between them and around them.
fn word(word: &str, pattern: &mut String) {
    if word.contains('@') && word.contains('.') {
        return pattern.push_str(ANY);
    }
    let is_joint = |c: char| "-_.:+@%#$*~^".contains(c);
    let (mut rest, mut masked) = (word, false);
    let mut joints = String::new();
    while !rest.is_empty() {
        let end = rest.find(is_joint).unwrap_or(rest.len());
        let piece = &rest[..end];
        if piece.is_empty() {
        } else if varies(piece) {
            // Between two that vary, and a sign before the first of a word.
            let sign = joints.ends_with(['-', '+']) && joints.len() == 1 && rest.len() + 1 == word.len();
            if !masked && !sign {
                pattern.push_str(&joints);
            }
            if !masked {
                pattern.push_str(ANY);
            }
            joints.clear();
            masked = true;
        } else {
            pattern.push_str(&joints);
            pattern.push_str(piece);
            joints.clear();
            masked = false;
        }
        rest = &rest[end..];
        let joint = rest.chars().next();
        joints.extend(joint);
        rest = &rest[joint.map_or(0, char::len_utf8)..];
    }
    if !(masked && joints == "%") {
        pattern.push_str(&joints);
    }
}

fn varies(piece: &str) -> bool {
    if piece.bytes().any(|byte| byte.is_ascii_digit()) {
        return !is_word(piece);
    }
    piece.len() >= HEX_MIN && piece.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_word(piece: &str) -> bool {
    let version = piece.strip_prefix(['v', 'V']);
    version.is_some_and(|digits| digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        || WORDS.iter().any(|word| word.eq_ignore_ascii_case(piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked() {
        for (line, pattern) in [
            ("took 12ms, 3 of 5 (60%)", "took <_>, <_> of <_> (<_>)"),
            ("2026-01-02T03:04:05.678Z INFO done", "<_> INFO done"),
            ("GET /api/v1/users/17/orders?page=2 200", "GET /api/v1/users/<_>/orders?page=<_> <_>"),
            ("peer 10.0.0.1:8080 is gone", "peer <_> is gone"),
            ("peer [fe80::1]:443 is gone", "peer [<_>]:<_> is gone"),
            ("id 9b2e0c5e-2e8f-4a56-9d57-4a5a1b2c3d4e", "id <_>"),
            ("commit deadbeef of cafe", "commit <_> of cafe"),
            ("pod web-5d9c7b9f-x2x4z started", "pod web-<_> started"),
            ("main.go:123 over http2", "main.go:<_> over http2"),
            ("offset -5 and +7", "offset <_> and <_>"),
            ("user \"bob\" logged in", "user \"<_>\" logged in"),
            ("level=info msg=\"user logged in\" dur=1.5s", "level=info msg=\"user logged in\" dur=<_>"),
            (r#"{"level":"info","user":17}"#, r#"{"level":"info","user":<_>}"#),
            ("don't panic", "don't panic"),
            ("mail to a.b@c.example failed", "mail to <_> failed"),
            ("tab\tand line\nend\n", "tab and line end"),
            ("", ""),
        ] {
            let mut got = String::new();
            mask(line, &mut got);
            assert_eq!(got, pattern, "{line:?}");
        }
    }

    #[test]
    fn long_lines_are_cut_at_characters() {
        let mut pattern = String::new();
        mask(&"é ".repeat(5_000), &mut pattern);
        assert!(pattern.len() <= PATTERN_BYTES_MAX && pattern.starts_with("é é"));
    }
}
