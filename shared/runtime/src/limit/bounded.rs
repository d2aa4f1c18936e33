//! A body that ends with an error when it is too large or too slow, however it is read.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::Limits;
use crate::problem::{Code, Problem};

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than its route takes.
    #[error("the body is too large")]
    TooLarge,
    /// It was waited for too long.
    #[error("the body took too long")]
    Late,
    /// The connection or the encoding broke.
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
}

impl From<&BodyError> for Problem {
    fn from(error: &BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::new(Code::TooLarge),
            BodyError::Late => Self::new(Code::BodyTimeout),
            BodyError::Broken(_) => Self::new(Code::Malformed).detail("The body broke off."),
        }
    }
}

/// The problem behind an error that reading a request's body gave.
#[must_use]
pub fn problem(error: axum::Error) -> Problem {
    match error.into_inner().downcast::<BodyError>() {
        Ok(error) => Problem::from(error.as_ref()),
        Err(other) => Problem::from(&BodyError::Broken(axum::Error::new(other))),
    }
}

/// What a body may have, shared between the body and the layers that the request still has to pass.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<Granted>);

#[derive(Debug)]
struct Granted {
    bytes: AtomicU64,
    times: AtomicU32,
}

impl Allowance {
    pub(super) fn grant(&self, bytes: u64, times: u32) {
        self.0.bytes.store(bytes, Ordering::Relaxed);
        self.0.times.store(times, Ordering::Relaxed);
    }
}

/// Bounds the request's body, if it has one.
pub(crate) fn bound(limits: &Limits, mut request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let allowance = Allowance(Arc::new(Granted {
        bytes: AtomicU64::new(limits.body_bytes),
        times: AtomicU32::new(1),
    }));
    request.extensions_mut().insert(allowance.clone());
    let wait = limits.body;
    request.map(|body| {
        Body::new(Bounded {
            inner: Some(body),
            allowance,
            read: 0,
            wait,
            waited: Duration::ZERO,
            pause: None,
        })
    })
}

struct Bounded {
    /// Dropped at the first error, so that nothing more is buffered.
    inner: Option<Body>,
    allowance: Allowance,
    read: u64,
    /// How long one share of the body may be waited for.
    wait: Duration,
    /// How long it has been waited for in pauses that are over.
    waited: Duration,
    /// The present pause: its start, and the alarm at the end of the time that is left.
    pause: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Bounded {
    fn poll_inner(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let bytes = self.allowance.0.bytes.load(Ordering::Relaxed);
        // What the client declares is refused before a byte of it is read.
        if self.read.saturating_add(inner.size_hint().lower()) > bytes {
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        }
        let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) else {
            ready!(self.poll_pause(cx));
            return Poll::Ready(Some(Err(BodyError::Late)));
        };
        if let Some((since, _)) = self.pause.take() {
            self.waited += since.elapsed();
        }
        Poll::Ready(match frame {
            None => None,
            Some(Err(error)) => Some(Err(BodyError::Broken(error))),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.read = self.read.saturating_add(length as u64);
                let fits = self.read <= bytes;
                Some(fits.then_some(frame).ok_or(BodyError::TooLarge))
            }
        })
    }

    /// Ready when the client has been waited for long enough. Only time spent waiting counts: what a handler does
    /// between two reads is not the client's fault.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let allowed = self.wait * self.allowance.0.times.load(Ordering::Relaxed);
        let left = allowed.saturating_sub(self.waited);
        let (_, alarm) = self.pause.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep_until(now + left)))
        });
        alarm.as_mut().poll(cx)
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(self.poll_inner(cx));
        if matches!(frame, Some(Err(_))) {
            self.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        inner.map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}
