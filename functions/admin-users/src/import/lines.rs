//! Cuts a body into lines as it arrives. Holds one frame of the body and one line.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;

/// The longest line, in bytes, without its end.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// One line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its text.
    Whole(Vec<u8>),
    /// It was longer than a line may be, and was skipped.
    TooLong,
}

/// The lines of a body.
pub(super) struct Lines {
    body: Body,
    /// What came of the body and was not looked at.
    frame: Bytes,
    /// The beginning of the present line; one byte more than a line may have means too long.
    line: Vec<u8>,
    number: u64,
    over: bool,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            frame: Bytes::new(),
            line: Vec::new(),
            number: 1,
            over: false,
        }
    }

    /// The next line that is not blank, with its number from 1.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Line)>, axum::Error> {
        while !self.over {
            if let Some(end) = self.frame.iter().position(|byte| *byte == b'\n') {
                let rest = self.frame.split_off(end);
                self.keep_frame();
                self.frame = rest.slice(1..);
                if let Some(line) = self.take() {
                    return Ok(Some(line));
                }
                continue;
            }
            self.keep_frame();
            match self.body.frame().await {
                Some(frame) => self.frame = frame?.into_data().unwrap_or_default(),
                None => self.over = true,
            }
        }
        Ok(self.take())
    }

    /// Adds the frame to the line, as far as it can be part of one.
    fn keep_frame(&mut self) {
        // A line may end with a carriage return too.
        let room = (LINE_BYTES_MAX + 2).saturating_sub(self.line.len());
        self.line.extend(self.frame.iter().take(room));
        self.frame.clear();
    }

    fn take(&mut self) -> Option<(u64, Line)> {
        let number = self.number;
        self.number += 1;
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > LINE_BYTES_MAX {
            return Some((number, Line::TooLong));
        }
        let blank = line.iter().all(u8::is_ascii_whitespace);
        (!blank).then_some((number, Line::Whole(line)))
    }
}
