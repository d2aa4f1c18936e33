//! Looks at a rule's text before the parser does, so that a bomb costs one pass over 2 KiB.

use crate::{MAX_SOURCE_BYTES, parse::Problem};

/// How deep brackets may stand in each other.
const MAX_BRACKETS: usize = 24;
/// How many operators, brackets and words a rule may have.
const MAX_TOKENS: usize = 1024;

/// Checks length, nesting of brackets and number of tokens.
pub(crate) fn check(source: &str) -> Result<(), Problem> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(Problem::TooLong);
    }
    let mut rest = source;
    let (mut depth, mut tokens) = (0_usize, 0_usize);
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        match first {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens += usize::from(!first.is_whitespace());
        if depth > MAX_BRACKETS {
            return Err(Problem::TooDeep);
        }
        if tokens > MAX_TOKENS {
            return Err(Problem::TooManyTokens);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// The bytes of the token that `rest` begins with. Text in quotes and comments are one token each, so that brackets in
/// them do not count.
fn token_length(rest: &str, first: char) -> usize {
    let bytes = rest.as_bytes();
    if first.is_ascii_alphanumeric() || first == '_' {
        let word = bytes
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let prefix = rest.get(..word).unwrap_or_default();
        let raw = prefix
            .bytes()
            .all(|byte| byte.eq_ignore_ascii_case(&b'r') || byte.eq_ignore_ascii_case(&b'b'));
        return match bytes.get(word) {
            Some(b'\'' | b'"') if raw && word <= 2 => {
                word + quoted_length(
                    bytes.get(word..).unwrap_or_default(),
                    prefix.contains(['r', 'R']),
                )
            }
            _ => word,
        };
    }
    match first {
        '\'' | '"' => quoted_length(bytes, false),
        '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        _ => first.len_utf8(),
    }
}

/// The bytes of the literal that begins with a quote, to its end or to that of the text.
fn quoted_length(bytes: &[u8], raw: bool) -> usize {
    let quote = bytes.first().copied().unwrap_or_default();
    let triple = bytes.get(..3) == Some(&[quote; 3]);
    let mark = if triple { 3 } else { 1 };
    let mut at = mark;
    while let Some(byte) = bytes.get(at) {
        if !raw && *byte == b'\\' {
            at += 2;
        } else if bytes
            .get(at..at + mark)
            .is_some_and(|end| end.iter().all(|byte| *byte == quote))
        {
            return at + mark;
        } else {
            at += 1;
        }
    }
    bytes.len()
}
